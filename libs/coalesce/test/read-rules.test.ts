import { create, type RangeRequest_SortOrder, RangeRequestSchema, toBinary } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { findShareable } from "../src/read/read-hub.ts";
import { settle } from "./fake-clock.ts";
import { bytes } from "./scripted-hub.ts";
import { ScriptedReads } from "./scripted-reads.ts";

const lost = { t: "lost", failure: { code: 14, message: "connection lost" } } as const;
const unsent = { t: "unsent", failure: { code: 14, message: "no connection" } } as const;

/** `first` in the air, and the others behind it. */
async function behind(world: ScriptedReads, ...keys: string[]) {
  const first = world.read("first");
  await settle();
  const callers = keys.map((key) => world.read(key));
  await settle();
  return { first, callers };
}

describe("rule 28: who may share an answer", () => {
  it("never joins a read that is in the air: what was written meanwhile must be seen", async () => {
    const world = new ScriptedReads();
    const early = world.read("k");
    await settle();
    expect(world.flying).toEqual([["k"]]);
    world.revision = 105n; // acknowledged while the first is on its way
    const late = world.read("k");
    const later = world.read("k");
    await settle();
    expect(world.flying).toEqual([["k"]]);
    world.revision = 100n;
    world.first.answer();
    expect([early.seen, late.seen]).toEqual(["100: k@100", undefined]);
    world.revision = 105n;
    expect(world.flying).toEqual([["k"]]);
    world.first.answer();
    expect([late.seen, later.seen]).toEqual(["105: k@105", "105: k@105"]);
    expect(world.hub.counts).toMatchObject({ reads: 3, joined: 1, sent: 2 });
  });

  it("lets a lone read leave at once, as the request that it is", async () => {
    const world = new ScriptedReads();
    world.read("k");
    await settle();
    expect(world.first.read.kind).toBe("range");
    expect(world.first.ranges()[0]).toEqual(create(RangeRequestSchema, { key: bytes("k") }));
  });

  it("shares nothing between credentials, nor between who wants a leader and who does not", async () => {
    const world = new ScriptedReads();
    for (const credential of [undefined, "", "a", "b"]) {
      for (const hasLeader of [true, false]) world.read("k", { scope: { credential, hasLeader } });
    }
    await settle();
    expect(new Set(world.air.map(({ read }) => JSON.stringify(read.scope))).size).toBe(8);
  });

  it("waits for a flight no longer than 20 ms, and goes to another member then", async () => {
    const world = new ScriptedReads();
    world.members = ["stopped", "well"];
    const { callers } = await behind(world, "a", "b");
    await world.clock.advance(19);
    expect(world.flying).toEqual([["first"]]);
    await world.clock.advance(1);
    expect(world.flying).toEqual([["first"], ["a", "b"]]);
    expect(world.air.map(({ member }) => member)).toEqual(["stopped", "well"]);
    world.air[1]?.answer();
    expect(callers.map(({ seen }) => seen)).toEqual(["100: a@100", "100: b@100"]);
  });

  it("has four flights at a member at most", async () => {
    const world = new ScriptedReads();
    for (let i = 0; i < 6; i++) {
      world.read(`${i}`);
      await world.clock.advance(20);
    }
    expect(world.flying).toEqual([["0"], ["1"], ["2"], ["3"]]);
    world.first.answer();
    expect(world.flying).toEqual([["1"], ["2"], ["3"], ["4", "5"]]);
  });

  it("asks until the latest of the callers' deadlines, and 10 s at most", async () => {
    const world = new ScriptedReads();
    await world.clock.advance(1_000);
    const { first } = await behind(world);
    expect(world.first.read.deadlineMs).toBe(11_000);
    world.read("k", { deadlineMs: 3_000 });
    world.read("k", { deadlineMs: 4_000 });
    world.first.answer();
    await settle();
    expect(first.seen).toBe("100: first@100");
    expect(world.first.read.deadlineMs).toBe(4_000);
  });

  it("lets each caller leave alone; the last one out cancels", async () => {
    const world = new ScriptedReads();
    const { callers } = await behind(world, "a", "a", "b");
    const [one, two, other] = callers;
    one?.leave();
    world.first.answer();
    expect(world.flying).toEqual([["a", "b"]]);
    const batch = world.first;
    other?.leave();
    expect(batch.isCancelled).toBe(false);
    two?.leave();
    expect(batch.isCancelled).toBe(true);
    expect(callers.map(({ seen }) => seen)).toEqual([undefined, undefined, undefined]);
    world.read("next");
    await settle();
    expect(world.flying).toEqual([["next"]]);
  });
});

describe("rule 27: what may ride in a Txn, and what a failure means", () => {
  it("takes everything small that waits, each distinct request once", async () => {
    const world = new ScriptedReads();
    const { callers } = await behind(world, "a", "b", "a");
    world.first.answer();
    expect(world.first.read.kind).toBe("txn");
    expect(world.first.keys).toEqual(["a", "b"]);
    world.first.answer();
    expect(callers.map(({ seen }) => seen)).toEqual(["100: a@100", "100: b@100", "100: a@100"]);
    expect(callers[0]?.response().header).toMatchObject({ clusterId: 1n, memberId: 2n, raftTerm: 3n });
    expect(world.hub.counts).toMatchObject({ batches: 1, batched: 2, sent: 2 });
  });

  it.each([
    ["a range without a limit", { key: bytes("a"), rangeEnd: bytes("z") }],
    ["a range of 17", { key: bytes("a"), rangeEnd: bytes("z"), limit: 17n }],
    ["a read of the past", { key: bytes("a"), revision: 7n }],
  ])("sends %s alone, at once", async (_, request) => {
    const world = new ScriptedReads();
    await behind(world);
    world.read(request);
    await settle();
    expect(world.air.map(({ read }) => read.kind)).toEqual(["range", "range"]);
    const line = [world.read(request), world.read(request)];
    await settle();
    expect(world.air).toHaveLength(2);
    world.air[1]?.answer();
    await settle();
    expect(world.air).toHaveLength(2);
    world.air[1]?.answer();
    expect(line.map(({ result }) => result?.t)).toEqual(["answered", "answered"]);
  });

  it("takes ranges of up to 16 keys along", async () => {
    const world = new ScriptedReads();
    await behind(world, "a");
    world.read({ key: bytes("b"), rangeEnd: bytes("z"), limit: 16n });
    await settle();
    world.first.answer();
    expect(world.flying).toEqual([["a", "b"]]);
  });

  it.each([
    ["serializable", { serializable: true }],
    ["with an order outside the schema", { sortOrder: 3 as RangeRequest_SortOrder }],
  ])("shares no read that is %s", (_, fields) => {
    const request = toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: bytes("a"), ...fields }));
    expect(findShareable(request)).toBeUndefined();
  });

  it("shares none with a field that the schema lacks, and none that is no request", () => {
    expect(findShareable(Uint8Array.of(0x0a, 1, 0x61, 0xf8, 0x3f, 1))).toBeUndefined();
    expect(findShareable(Uint8Array.of(0x0a, 200))).toBeUndefined();
  });

  it("leaves out who was large last time, until it is small again", async () => {
    const world = new ScriptedReads();
    world.valueOf = (key) => (key[0] === 0x62 ? new Uint8Array(70_000) : key);
    const { callers } = await behind(world, "b", "a");
    world.first.answer();
    world.first.answer();
    expect(callers.map(({ result }) => result?.t)).toEqual(["answered", "answered"]);
    await behind(world, "b", "a");
    expect(world.flying).toEqual([["first"], ["b"]]);
    world.valueOf = (key) => key;
    world.air[1]?.answer();
    world.first.answer();
    world.first.answer();
    await behind(world, "b", "a");
    world.first.answer();
    expect(world.flying).toEqual([["b", "a"]]);
  });

  it("bounds a Txn by operations and by bytes", async () => {
    const world = new ScriptedReads({ limits: { maxOps: 3, maxRequestBytes: 1_000 } });
    await behind(world, "a", "b", "c", "d", "e".repeat(600), "f".repeat(600));
    world.first.answer();
    expect(world.flying).toEqual([["a", "b", "c"]]);
    world.first.answer();
    expect(world.first.keys.map((key) => key.length)).toEqual([1, 600]);
  });

  it.each([3, 5, 7, 8, 11])("asks each alone after a refusal with %i", async (code) => {
    const world = new ScriptedReads();
    const { callers } = await behind(world, "a", "b", "b");
    world.first.answer();
    world.first.refuse(code, "etcdserver: what one of them did");
    expect(world.flying).toEqual([["a"], ["b"]]);
    expect(world.air.map(({ read }) => read.kind)).toEqual(["range", "range"]);
    world.first.refuse(code, "etcdserver: what one of them did");
    world.first.answer();
    expect(callers.map(({ seen }) => seen)).toEqual([
      `${code} etcdserver: what one of them did`,
      "100: b@100",
      "100: b@100",
    ]);
    expect(world.hub.counts.fallbacks).toBe(2);
  });

  it.each([
    [14, "etcdserver: request timed out"],
    [16, "etcdserver: invalid auth token"],
    [1, "cancelled"],
    [3, "etcdserver: user name is empty"],
    [3, "etcdserver: revision of auth store is old"],
  ])("tells everybody what concerns everybody: %i %s", async (code, message) => {
    const world = new ScriptedReads();
    const { callers } = await behind(world, "a", "b");
    world.first.answer();
    world.first.refuse(code, message);
    expect(callers.map(({ seen }) => seen)).toEqual([`${code} ${message}`, `${code} ${message}`]);
    expect(world.air).toEqual([]);
  });

  it("learns how many operations the cluster takes", async () => {
    const world = new ScriptedReads();
    const { callers } = await behind(world, "a", "b", "c", "d");
    world.first.answer();
    world.first.refuse(3, "etcdserver: too many operations in txn request");
    expect(world.flying).toEqual([["a", "b"]]);
    world.first.answer();
    expect(world.flying).toEqual([["c", "d"]]);
    world.first.answer();
    expect(callers.every(({ result }) => result?.t === "answered")).toBe(true);
  });

  it("goes elsewhere from a learner, and comes back to it after a while", async () => {
    const world = new ScriptedReads();
    world.members = ["learner", "voter"];
    const caller = world.read("k");
    await settle();
    expect(world.first.member).toBe("learner");
    world.first.refuse(9, "etcdserver: rpc not supported for learner");
    expect(world.first.member).toBe("voter");
    world.first.answer();
    expect(caller.seen).toBe("100: k@100");
    for (let i = 0; i < 3; i++) {
      world.read(`${i}`);
      await settle();
      expect(world.first.member).toBe("voter");
      world.first.answer();
    }
    await world.clock.advance(10_000);
    world.members = ["learner"];
    world.read("k");
    await settle();
    expect(world.first.member).toBe("learner");
  });

  it("hands back what no member can be asked", async () => {
    const world = new ScriptedReads();
    world.members = [];
    const callers = [world.read("a"), world.read("a"), world.read({ key: bytes("a"), rangeEnd: bytes("z") })];
    expect(callers.map(({ seen }) => seen)).toEqual([undefined, undefined, undefined]);
    await settle();
    expect(callers.map(({ seen }) => seen)).toEqual(["aside", "aside", "aside"]);
    expect(world.hub.counts.aside).toBe(3);
  });

  it("sends what never left again, and hands it back when that does not help", async () => {
    const world = new ScriptedReads();
    const { callers } = await behind(world, "a", "b");
    world.first.answer();
    world.first.end(unsent);
    expect(world.flying).toEqual([["a", "b"]]);
    world.first.end(unsent);
    world.first.end(unsent);
    expect(callers.map(({ seen }) => seen)).toEqual([undefined, undefined]);
    world.first.end(unsent);
    expect(callers.map(({ seen }) => seen)).toEqual(["aside", "aside"]);
  });

  it("says what etcd says when a flight took too long", async () => {
    const world = new ScriptedReads();
    const { first } = await behind(world);
    world.first.end({ t: "late", failure: { code: 4, message: "deadline exceeded" } });
    expect(first.seen).toBe("14 etcdserver: request timed out");
  });

  it("fails an answer that is none, and one that a namespace cannot read", async () => {
    const world = new ScriptedReads({
      toAnswer: () => {
        throw new Error("a key outside the namespace");
      },
    });
    const { first, callers } = await behind(world, "a", "b");
    world.first.answer();
    expect(first.seen).toBe("13 a key outside the namespace");
    world.first.end({ t: "answered", payload: new Uint8Array(0) });
    expect(callers.map(({ seen }) => seen)).toEqual(
      callers.map(() => "13 a Txn of 2 reads was answered with 0 answers"),
    );
  });
});

describe("rule 14: no read-only Txn where it is dangerous", () => {
  it("sends single reads there, and equal ones still wait for the next", async () => {
    const world = new ScriptedReads();
    world.takesTxn = false;
    const callers = ["a", "b", "a"].map((key) => world.read(key));
    await settle();
    expect(world.flying).toEqual([["a"], ["b"]]);
    callers.push(world.read("a"));
    await settle();
    expect(world.flying).toEqual([["a"], ["b"]]);
    world.first.answer();
    world.first.answer();
    expect(world.flying).toEqual([["a"]]);
    world.first.answer();
    expect(callers.map(({ seen }) => seen)).toEqual(["100: a@100", "100: b@100", "100: a@100", "100: a@100"]);
  });
});

describe("rule 13: what may have killed a member", () => {
  it("is sent once more at most, and never with others", async () => {
    const world = new ScriptedReads();
    const { callers } = await behind(world, "poison", "b");
    world.first.answer();
    world.first.end(lost);
    expect(world.air.map(({ read }) => read.kind)).toEqual(["range", "range"]);
    world.first.end(lost);
    world.first.answer();
    expect(callers.map(({ seen }) => seen)).toEqual(["14 connection lost", "100: b@100"]);
    expect(world.air).toEqual([]);
  });

  it("is refused for a minute after it was there twice; what was answered since is not", async () => {
    const world = new ScriptedReads();
    await behind(world, "poison", "b");
    world.first.answer();
    world.first.end(lost);
    world.first.end(lost);
    world.first.answer();
    const refused = world.read("poison");
    const welcome = world.read("b");
    expect(refused.seen).toBeUndefined();
    await settle();
    expect(refused.seen).toContain("14 this read was in the air when connections");
    expect(world.flying).toEqual([["b"]]);
    world.first.answer();
    expect(welcome.seen).toBe("100: b@100");
    await world.clock.advance(60_000);
    world.read("poison");
    await settle();
    expect(world.flying).toEqual([["poison"]]);
  });
});
