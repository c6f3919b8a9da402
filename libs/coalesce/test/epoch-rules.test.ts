import type { HeaderView } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { GuardedStore } from "../src/cache/guarded-store.ts";
import { InProcessStore, type SharedStore } from "../src/cache/shared-store.ts";
import { decodeEpochRecord, encodeEpochRecord } from "../src/epoch/epoch-codec.ts";
import type { EpochMemory, EpochRecord } from "../src/epoch/epoch-record.ts";
import { type EpochChange, Epochs } from "../src/epoch/epochs.ts";
import { StoredEpochs } from "../src/epoch/stored-epochs.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import { bytes } from "./scripted-hub.ts";

const header = (revision: bigint, raftTerm = 2n): HeaderView => ({
  ...{ clusterId: 7n, memberId: 1n, revision, raftTerm },
});
const answer = (revision: bigint, raftTerm?: bigint) => () => Promise.resolve(header(revision, raftTerm));

function record(id: string, number: bigint, more: Partial<EpochRecord> = {}): EpochRecord {
  const epoch = { id, number };
  return { clusterId: 7n, epoch, revision: 9n, raftTerm: 2n, aliases: [], replaced: [], ...more };
}

/** Another who remembers what it is told. */
class Memory implements EpochMemory {
  record: EpochRecord | undefined;
  constructor(known?: EpochRecord) {
    this.record = known;
  }
  load(): Promise<EpochRecord | undefined> {
    return Promise.resolve(this.record);
  }
  save(known: EpochRecord): void {
    this.record = known;
  }
}

/** Knows its history by the name "m", and all that is told of it. */
async function known(): Promise<{ epochs: Epochs; changes: EpochChange["t"][] }> {
  const made = ["m", "n", "o"];
  const epochs = new Epochs(() => made.shift() ?? "none");
  await epochs.settle(7n, answer(9n));
  const changes: EpochChange["t"][] = [];
  epochs.onChange(({ t }) => changes.push(t));
  return { epochs, changes };
}

describe("rule 3: the name of a history", () => {
  it.each([
    ["nothing is remembered", [], header(9n, 4n), "new", 0n],
    ["a quorum has what is remembered", [record("old", 3n)], header(9n), "old", 3n],
    ["a quorum has less", [record("old", 3n)], header(8n), "new", 4n],
    ["a quorum has a lower term", [record("old", 3n)], header(12n, 1n), "new", 4n],
    ["two names are remembered", [record("z", 0n), record("b", 0n)], header(9n), "b", 0n],
    ["one of two is gone", [record("z", 5n, { revision: 10n }), record("b", 0n)], header(9n), "b", 6n],
    [
      "one is gone, as another one knows",
      [record("a", 0n), record("a", 0n, { revision: 11n })],
      header(9n),
      "new",
      1n,
    ],
  ])("at the start, where %s", async (_name, remembered, told, id, number) => {
    const memories = [new Memory(), ...remembered.map((one) => new Memory(one))];
    const epochs = new Epochs(() => "new");
    for (const memory of memories) epochs.remember(memory);
    await epochs.settle(7n, () => Promise.resolve(told));
    expect(epochs.current?.epoch).toEqual({ id, number });
    for (const memory of memories) expect(memory.record?.epoch).toEqual({ id, number });
  });

  it.each<[string, EpochRecord, string, bigint, EpochChange["t"][]]>([
    ["a lesser name for it", record("b", 0n), "b", 0n, ["named"]],
    ["a greater one", record("z", 0n), "m", 0n, []],
    ["more replacements", record("z", 2n), "z", 2n, ["replaced"]],
    [
      "more replacements, and that ours is another name of it",
      record("z", 2n, { aliases: ["m"] }),
      "z",
      2n,
      ["named"],
    ],
    ["fewer, and that ours is gone", record("z", 0n, { replaced: ["m"] }), "z", 1n, ["replaced"]],
    ["our name, and a higher number", record("m", 4n), "m", 4n, []],
    ["nothing", record("", 5n), "m", 0n, []],
  ])("while it runs, where another replica says %s", async (_name, said, id, number, told) => {
    const { epochs, changes } = await known();
    epochs.heard(said);
    expect(epochs.current?.epoch).toEqual({ id, number });
    expect(changes).toEqual(told);
  });

  it.each<[string, EpochRecord, string, bigint, EpochChange["t"][]]>([
    ["more replacements, none of ours", record("z", 3n), "z", 3n, ["named"]],
    ["that ours is gone", record("z", 1n, { replaced: ["m"] }), "z", 1n, ["replaced"]],
    ["more of ours than a quorum has", record("m", 0n, { revision: 20n }), "n", 1n, ["replaced"]],
    ["another one that is gone", record("z", 3n, { revision: 20n }), "m", 4n, []],
    [
      "what has replaced ours and is gone",
      record("z", 3n, { revision: 20n, replaced: ["m"] }),
      "n",
      4n,
      ["replaced"],
    ],
  ])(
    "while it runs, where a store says %s, and a quorum was asked after that",
    async (_name, said, id, number, told) => {
      const { epochs, changes } = await known();
      epochs.met(said, header(9n));
      expect(epochs.current?.epoch).toEqual({ id, number });
      expect(changes).toEqual(told);
    },
  );

  it("is not taken back from those who slept through its end", async () => {
    const { epochs, changes } = await known();
    epochs.heard(record("b", 0n)); // which both of them called it once
    epochs.replaced(header(4n));
    for (const id of ["m", "b"]) epochs.heard(record(id, 9n, { revision: 30n }));
    expect(epochs.current).toMatchObject({ epoch: { id: "n", number: 10n }, revision: 4n });
    expect(changes).toEqual(["named", "replaced"]);
  });

  it("rule 32: ends with its cluster; the next one has one of its own", async () => {
    const { epochs, changes } = await known();
    epochs.repinned(8n);
    expect([epochs.current, epochs.recordOf(7n)]).toEqual([undefined, undefined]);
    await epochs.settle(7n, answer(9n)); // somebody who has not noticed
    expect(epochs.current).toBeUndefined();
    await epochs.begin(() => Promise.resolve({ ...header(3n), clusterId: 8n }));
    expect(epochs.current).toMatchObject({ clusterId: 8n, revision: 3n });
    expect(changes).toEqual(["left", "named", "named"]);
  });

  it("is found by one question however many ask, and asked for again where nobody answered", async () => {
    const epochs = new Epochs(() => "m");
    await epochs.begin(() => Promise.reject(new Error("no quorum")));
    let asked = 0;
    const probe = () => {
      asked++;
      return answer(9n)();
    };
    await Promise.all([epochs.settle(7n, probe), epochs.settle(7n, probe)]);
    expect({ asked, id: epochs.current?.epoch.id }).toEqual({ asked: 1, id: "m" });
  });
});

describe("rule 3: what stands in the store of a fleet", () => {
  let ids = 0;
  async function start(store: SharedStore, clock: FakeClock, etcd: { revision: bigint; raftTerm: bigint }) {
    const epochs = new Epochs(() => `e${ids++}`);
    const probe = () => Promise.resolve(header(etcd.revision, etcd.raftTerm));
    const stored = new StoredEpochs({ store: new GuardedStore(store, clock), clock, epochs, probe });
    await settle();
    return { epochs, stored, [Symbol.dispose]: () => stored[Symbol.dispose]() };
  }

  it("an epoch goes on while history does, and is another one where a quorum is less far", async () => {
    const clock = new FakeClock();
    const store = new InProcessStore(clock, 1 << 20);
    const etcd = { revision: 50n, raftTerm: 2n };
    using one = await start(store, clock, etcd);
    using two = await start(store, clock, etcd);
    const { prefix } = one.stored;
    expect(prefix).toMatch(/^7\/e\d+\/$/);
    expect([two.stored.prefix, two.stored.prefixToWrite(80n)]).toEqual([prefix, prefix]);
    // Everybody was stopped, and a backup of revision 60 restored.
    etcd.revision = 60n;
    using restored = await start(store, clock, etcd);
    expect(restored.stored.prefix).not.toBe(prefix);
    const changes: string[] = [];
    one.epochs.onChange(({ t }) => changes.push(t));
    await clock.advance(5_000);
    expect([one.stored.prefix, two.stored.prefix]).toEqual([restored.stored.prefix, restored.stored.prefix]);
    expect(changes, "who slept is told that what it knew is gone").toEqual(["replaced"]);
    // Seen while running, though what stands in the store is lower.
    etcd.revision = 65n;
    restored.epochs.replaced(header(65n));
    await clock.advance(5_000);
    expect(one.stored.prefix).toBe(restored.stored.prefix);
    expect(one.epochs.current?.epoch.number).toBe(2n);
  });

  it("that it could not be reached at the start makes nobody give up what it knows", async () => {
    const clock = new FakeClock();
    const inner = new InProcessStore(clock, 1 << 20);
    await inner.set("7/history", encodeEpochRecord(record("a-long-ago", 3n)), 1e9);
    let isUp = false;
    const gone = () => Promise.reject(new Error("no Redis"));
    const store: SharedStore = {
      get: (key) => (isUp ? inner.get(key) : gone()),
      set: (key, value, ttlMs) => (isUp ? inner.set(key, value, ttlMs) : gone()),
    };
    using one = await start(store, clock, { revision: 50n, raftTerm: 2n });
    await clock.advance(30_000);
    const own = one.epochs.current?.epoch.id;
    const changes: string[] = [];
    one.epochs.onChange(({ t }) => changes.push(t));
    isUp = true;
    await clock.advance(60_000);
    expect(one.epochs.current).toMatchObject({ epoch: { id: "a-long-ago", number: 3n }, aliases: [own] });
    expect(changes).toEqual(["named"]);
  });

  it("that it was emptied changes no name; the highest revision is written down before an entry of it", async () => {
    const clock = new FakeClock();
    const stores = [new InProcessStore(clock, 1 << 20), new InProcessStore(clock, 1 << 20)];
    let at = 0;
    const store: SharedStore = {
      get: async (key) => stores[at]?.get(key),
      set: async (key, value, ttlMs) => stores[at]?.set(key, value, ttlMs),
    };
    using one = await start(store, clock, { revision: 50n, raftTerm: 2n });
    const { prefix } = one.stored;
    at = 1;
    await clock.advance(5_000);
    expect(one.stored.prefixToWrite(70n)).toBe(prefix);
    const stands = decodeEpochRecord(await stores[1]?.get("7/history"), 7n);
    expect(stands).toMatchObject({ epoch: one.epochs.current?.epoch, revision: 70n });
  });

  it("rule 37: is read with suspicion", () => {
    const good = record("a", 1n, { aliases: ["b"], replaced: ["c"] });
    expect(decodeEpochRecord(encodeEpochRecord(good), 7n)).toEqual(good);
    const text = String.fromCharCode(...encodeEpochRecord(good));
    for (const bad of [
      text.slice(1),
      text.replace('"v":1', '"v":2'),
      text.replace('"a"', '"a.b"'),
      text.replace('"9"', '"-9"'),
      text.replace('["b"]', '"b"'),
      text.replace('["c"]', JSON.stringify(Array.from({ length: 9 }, (_, i) => `c${i}`))),
      "null",
      " ".repeat(5_000),
    ])
      expect(decodeEpochRecord(bytes(bad), 7n), bad).toBeUndefined();
  });
});
