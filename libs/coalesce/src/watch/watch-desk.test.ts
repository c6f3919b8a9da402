import { describe, expect, it } from "vitest";
import { findSeat, type WatchDesk } from "./watch-desk.ts";
import type { WatchHub } from "./watch-hub.ts";

const header = { clusterId: 1n, memberId: 1n, revision: 7n, raftTerm: 1n };
const range = { t: "point", key: new Uint8Array([1]) } as const;

/** As much of a hub as finding a seat needs. */
function hubThatAnswers(): WatchHub {
  return { probe: async () => header } as unknown as WatchHub;
}

describe("a seat for a watch", () => {
  it("rule 28: is sought only when it is clear whether there is an identity of ours", async () => {
    const own = hubThatAnswers();
    const ours = hubThatAnswers();
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    let shared: WatchHub | undefined;
    const decided: unknown[] = [];
    const desk: WatchDesk = {
      own,
      ready,
      get shared() {
        return shared;
      },
      known: 0n,
      decide: async (asked) => void decided.push(asked),
    };
    const seat = findSeat(desk, range);
    await new Promise(setImmediate);
    expect(decided).toEqual([]);
    shared = ours;
    resolve();
    expect(await seat).toEqual({ hub: ours, header });
    expect(decided).toEqual([range]);
  });

  it("is the client's own hub where there is no identity of ours", async () => {
    const own = hubThatAnswers();
    const desk: WatchDesk = {
      own,
      ready: Promise.resolve(),
      shared: undefined,
      known: 0n,
      decide: () => Promise.reject(new Error("not asked")),
    };
    expect(await findSeat(desk, range)).toEqual({ hub: own, header });
  });
});
