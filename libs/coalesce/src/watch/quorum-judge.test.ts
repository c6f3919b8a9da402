import type { HeaderView } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { FakeClock, settle } from "../../test/fake-clock.ts";
import { type EpochChange, Epochs } from "../epoch/epochs.ts";
import { QuorumJudge } from "./quorum-judge.ts";

const range = { t: "point", key: Uint8Array.of(107) } as const;
const header = (clusterId: bigint, revision: bigint): HeaderView => ({
  ...{ clusterId, memberId: 1n, revision, raftTerm: 2n },
});

/** Two judges of one process, which both know cluster 7 at revision 9. */
async function createTwo() {
  let says = header(7n, 9n);
  const epochs = new Epochs(() => "name");
  await epochs.settle(7n, () => Promise.resolve(says));
  const ends: string[] = [];
  const changes: EpochChange["t"][] = [];
  epochs.onChange(({ t }) => changes.push(t));
  const judges = ["one", "two"].map(
    (name) =>
      new QuorumJudge({
        clock: new FakeClock(),
        sendProbe: () => Promise.resolve(says),
        epochs,
        anyRange: () => range,
        readHeader: () => Promise.resolve(says),
        onQuorum: () => {},
        onReplaced: (revision) => ends.push(`${name} at ${revision}`),
      }),
  );
  for (const judge of judges) await judge.probe(range);
  const answerWith = async (next: HeaderView, ask = judges): Promise<void> => {
    says = next;
    await epochs.settle(next.clusterId, () => Promise.resolve(next));
    for (const judge of ask) await judge.probe(range);
    await settle();
  };
  return { judges, epochs, ends, changes, answerWith };
}

describe("what quorums say to two who ask", () => {
  it("rule 3: less than was known ends what both know, once, and is told", async () => {
    const { judges, ends, changes, answerWith } = await createTwo();
    await answerWith(header(7n, 4n), judges.slice(0, 1));
    expect(changes).toEqual(["replaced"]);
    expect(ends).toEqual(["one at 4", "two at 4"]);
  });

  it("rule 32: another cluster ends what both know, once, and nobody is told that its history was replaced", async () => {
    const { judges, ends, changes, answerWith } = await createTwo();
    for (const judge of judges) judge.history.expectAnother();
    await answerWith(header(8n, 4n));
    expect(ends).toEqual(["one at 4", "two at 4"]);
    expect(changes).toEqual(["named"]);
  });
});
