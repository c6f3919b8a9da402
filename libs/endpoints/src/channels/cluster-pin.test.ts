import { describe, expect, it } from "vitest";
import { ManualClock } from "../manual-clock.ts";
import { type ClusterAnswer, ClusterPin, repinAfterMs } from "./cluster-pin.ts";

const all: ReadonlySet<string> = new Set(["a", "b", "c"]);
const [ours, theirs, third] = [1n, 2n, 3n];

function createPin(): {
  pin: ClusterPin<string>;
  clock: ManualClock;
  say: (answers: Record<string, ClusterAnswer>) => void;
  looks: () => number;
  repinned: [bigint, bigint][];
} {
  const clock = new ManualClock();
  const repinned: [bigint, bigint][] = [];
  let looks = 0;
  const pin = new ClusterPin<string>({
    clock,
    lookAgain: () => void looks++,
    onRepinned: (id, before) => void repinned.push([id, before]),
  });
  const say = (answers: Record<string, ClusterAnswer>): void => {
    for (const [endpoint, id] of Object.entries(answers)) pin.saw(endpoint, id, all);
  };
  return { pin, clock, say, looks: () => looks, repinned };
}

describe("rule 32: the cluster that is believed in", () => {
  it("is the one that most endpoints name, whoever is first", () => {
    const { pin, say } = createPin();
    say({ a: theirs });
    expect(pin.clusterId).toBeUndefined();
    expect(pin.isForeign("a")).toBe(false); // nobody else has spoken
    say({ b: ours, c: ours });
    expect(pin.clusterId).toBe(ours);
    expect([pin.isForeign("a"), pin.isForeign("b")]).toEqual([true, false]);
  });

  it("is chosen when everybody was looked at, those who say nothing included", () => {
    const { pin, say } = createPin();
    say({ a: ours, b: undefined });
    expect(pin.clusterId).toBeUndefined();
    say({ c: undefined });
    expect(pin.clusterId).toBe(ours);
  });

  it("is not doubted by answers that name none, as another proxy's", () => {
    const { pin, say } = createPin();
    say({ a: ours, b: ours, c: 0n });
    expect(pin.isForeign("c")).toBe(false);
    expect(pin.accepts(0n)).toBe(true);
    expect(pin.accepts(theirs)).toBe(false);
  });

  it("stays while one endpoint names it, however long the others name another", async () => {
    const { pin, clock, say, repinned } = createPin();
    say({ a: ours, b: ours, c: ours });
    for (let i = 0; i < 10; i++) {
      await clock.advance(repinAfterMs / 2);
      say({ a: theirs, b: theirs, c: ours });
    }
    expect(pin.clusterId).toBe(ours);
    expect(repinned).toEqual([]);
    expect([pin.isForeign("a"), pin.isForeign("c")]).toEqual([true, false]);
  });

  it("gives way after 30 s without a word of it, when the others agree", async () => {
    const { pin, clock, say, looks, repinned } = createPin();
    say({ a: ours, b: ours, c: ours });
    await clock.advance(1_000);
    say({ a: theirs, b: undefined, c: theirs });
    await clock.advance(repinAfterMs - 2_000);
    say({ a: theirs, b: undefined, c: theirs });
    expect([pin.clusterId, looks()]).toEqual([ours, 0]);
    await clock.advance(1_001);
    expect(looks()).toBe(1); // everybody is looked at when the time is over
    say({ a: theirs });
    expect(pin.clusterId).toBe(theirs);
    expect(repinned).toEqual([[theirs, ours]]);
    expect(pin.isForeign("a")).toBe(false);
  });

  it("does not give way to others who disagree, nor to silence", async () => {
    const { pin, clock, say, repinned } = createPin();
    say({ a: ours, b: ours, c: ours });
    await clock.advance(repinAfterMs + 1);
    say({ a: undefined, b: undefined, c: undefined });
    expect(pin.clusterId).toBe(ours);
    say({ a: theirs });
    expect(repinned).toEqual([[theirs, ours]]); // the time was over long ago
    say({ a: third, b: ours, c: undefined });
    await clock.advance(2 * repinAfterMs);
    say({ a: third, b: ours, c: undefined });
    expect(pin.clusterId).toBe(theirs);
    say({ b: undefined });
    expect(pin.clusterId).toBe(third);
  });

  it("counts from the last word of it", async () => {
    const { pin, clock, say } = createPin();
    say({ a: ours, b: ours, c: ours });
    await clock.advance(repinAfterMs - 1);
    say({ a: theirs, b: ours });
    await clock.advance(repinAfterMs - 1);
    say({ a: theirs, b: theirs, c: theirs });
    expect(pin.clusterId).toBe(ours);
    await clock.advance(2);
    say({ a: theirs });
    expect(pin.clusterId).toBe(theirs);
  });

  it("waits for those who do not tell: one stray answer decides nothing, and they may be of the one that seems gone", async () => {
    const { pin, clock, say } = createPin();
    say({ a: "untold", b: "untold", c: theirs });
    expect(pin.clusterId).toBeUndefined();
    say({ a: ours });
    say({ b: ours }); // as answers to calls are heard
    expect(pin.clusterId).toBe(ours);
    pin.forget("a"); // another connection
    pin.forget("b");
    say({ a: "untold", b: undefined });
    await clock.advance(2 * repinAfterMs);
    say({ c: theirs });
    expect(pin.clusterId).toBe(ours);
    say({ a: theirs });
    expect(pin.clusterId).toBe(theirs);
  });

  it("is told to have changed also where it was believed without being chosen: its answers were shown", () => {
    const { pin, say, repinned } = createPin();
    say({ a: "untold", b: "untold", c: "untold" });
    say({ a: ours });
    expect([pin.clusterId, pin.accepts(ours), pin.accepts(theirs)]).toEqual([undefined, true, false]);
    pin.forget("a");
    say({ a: "untold" });
    expect([pin.accepts(ours), pin.accepts(theirs)]).toEqual([true, false]); // away, not gone
    say({ a: theirs });
    expect([pin.isForeign("a"), repinned]).toEqual([true, []]);
    say({ b: theirs });
    expect(pin.clusterId).toBe(theirs);
    expect(repinned).toEqual([[theirs, ours]]);
    expect(pin.isForeign("a")).toBe(false);
  });

  it("forgets endpoints that left the set", () => {
    const { pin, say } = createPin();
    say({ a: theirs });
    pin.saw("b", ours, new Set(["b"]));
    expect(pin.clusterId).toBe(ours);
    expect(pin.isForeign("a")).toBe(false);
  });

  it("stops its timer when disposed of", async () => {
    const { pin, clock, say, looks } = createPin();
    say({ a: ours, b: ours, c: ours });
    say({ a: theirs, b: theirs, c: theirs });
    expect(clock.pending).toBe(1);
    pin[Symbol.dispose]();
    expect(clock.pending).toBe(0);
    await clock.advance(repinAfterMs);
    expect(looks()).toBe(0);
  });
});
