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

/** Asked twice, the second time while the first answer is on its way; each answer is what the test says then. */
async function askTwice(answers: readonly HeaderView[]) {
  const ends: bigint[] = [];
  const changes: EpochChange["t"][] = [];
  const epochs = new Epochs(() => "name");
  let left = [header(7n, 900n)];
  const judge = new QuorumJudge({
    clock: new FakeClock(),
    sendProbe: () => Promise.resolve(left.shift() ?? header(7n, 0n)),
    epochs,
    anyRange: () => range,
    readHeader: () => new Promise(() => {}),
    onQuorum: () => {},
    onReplaced: (revision) => ends.push(revision),
  });
  for (const one of [header(7n, 900n), header(8n, 1n)])
    await epochs.settle(one.clusterId, () => Promise.resolve(one));
  epochs.onChange(({ t }) => changes.push(t));
  await judge.probe(range);
  judge.history.expectAnother();
  left = [...answers];
  const asked = [judge.probe(range), judge.probe({ t: "everything" })];
  const seen = await Promise.allSettled(asked);
  return { ends, changes, seen: seen.map(({ status }) => status), known: judge.history.known };
}

describe("what was asked before history was replaced", () => {
  it("rule 32: does not replace the new cluster's again, though that one has less than the old one had", async () => {
    expect(await askTwice([header(8n, 20n), header(8n, 21n)])).toEqual({
      ends: [20n],
      changes: [],
      seen: ["fulfilled", "fulfilled"],
      known: 21n,
    });
  });

  it("rule 3: is not believed where it may be an answer of the history before", async () => {
    const { ends, changes, seen, known } = await askTwice([header(7n, 20n), header(7n, 950n)]);
    expect([ends, changes, seen, known]).toEqual([[20n], ["replaced"], ["fulfilled", "rejected"], 20n]);
  });
});
