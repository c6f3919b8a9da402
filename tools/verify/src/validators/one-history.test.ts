import { describe, expect, it } from "vitest";
import { sampleHistory, stored } from "../history/sample-history.ts";
import type { SwapAnswer, SwapRecord } from "../history/swap-record.ts";
import type { WatchMessage, WatchRecord } from "../history/watch-record.ts";
import { checkOneHistory } from "./one-history.ts";

const [before, after] = [0xan, 0xbn];

function created(clusterId: bigint): WatchMessage {
  return { t: "created", at: 1, revision: 5n, clusterId };
}

function told(value: string): WatchMessage {
  const events = [{ kind: "put", kv: stored("a", value, 7n) }] as const;
  return { t: "events", at: 2, revision: 7n, isFragment: false, events };
}

const lost: WatchMessage = { t: "lost", at: 3, reason: "14" };
const compacted: WatchMessage = { t: "canceled", at: 3, revision: 9n, compactRevision: 9n, reason: "" };
const request = {
  span: { key: "a" },
  startRevision: 0n,
  prevKv: false,
  noPut: false,
  noDelete: false,
  progressNotify: false,
  fragment: false,
};

function swapOf(messages: readonly WatchMessage[], answers: readonly SwapAnswer[] = []): SwapRecord {
  const isOpenAtEnd = !messages.some(({ t }) => t === "lost" || t === "canceled");
  const watch: WatchRecord = { id: 0, client: 1, stream: 1, request, askedAt: 0, messages, isOpenAtEnd };
  return { history: sampleHistory({ watches: [watch] }), swappedAt: 2, before, after, mark: "new.", answers };
}

const answer = (clusterId: bigint, at: number): SwapAnswer => ({ client: 1, at, clusterId });

describe("one history", () => {
  it.each<[string, readonly WatchMessage[]]>([
    ["a watch that was lost", [created(before), told("1"), lost]],
    ["a watch that was cancelled as compacted", [created(before), told("1"), compacted]],
    ["a watch of the new cluster", [created(after), told("new.1")]],
    ["a watch that was never created, on a stream that ended", [lost]],
  ])("is kept by %s", (_, messages) => {
    expect(checkOneHistory(swapOf(messages))).toEqual([]);
  });

  it.each<[string, readonly WatchMessage[], string]>([
    [
      "goes on into the new history",
      [created(before), told("1"), told("new.1"), lost],
      "was told of the other",
    ],
    ["of the new cluster is told of the old", [created(after), told("1")], "was told of the other"],
    ["hangs on for ever", [created(before), told("1")], "which is gone"],
    ["of the new cluster is told nothing", [created(after)], "was told nothing of the new cluster"],
    ["is never created", [], "was never created"],
  ])("is broken by a watch that %s", (_, messages, text) => {
    expect(checkOneHistory(swapOf(messages))).toMatchObject([
      { promise: "one history", text: expect.stringContaining(text) },
    ]);
  });

  it("is broken by answers that go back, or never come from the new cluster", () => {
    const check = (...answers: readonly SwapAnswer[]) =>
      checkOneHistory(swapOf([created(before), lost], answers)).map(({ text }) => text);
    expect(check(answer(before, 1), answer(after, 3))).toEqual([]);
    expect(check(answer(after, 3), answer(before, 4))).toEqual([
      expect.stringContaining("after the new one"),
    ]);
    expect(check(answer(before, 3))).toEqual([expect.stringContaining("never answered by the new")]);
  });
});
