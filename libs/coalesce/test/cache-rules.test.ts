import { fromBinary, RangeRequestSchema, readResponseHeader, TxnRequestSchema } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { GuardedStore } from "../src/cache/guarded-store.ts";
import { RemoteAnswers } from "../src/cache/remote-answers.ts";
import { InProcessStore, type SharedStore } from "../src/cache/shared-store.ts";
import { Epochs } from "../src/epoch/epochs.ts";
import { StoredEpochs } from "../src/epoch/stored-epochs.ts";
import type { UpstreamRead } from "../src/read/ports.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import type { Chance } from "./model-etcd.ts";
import { type Reading, ReadWorld } from "./read-world.ts";
import { bytes, header } from "./scripted-hub.ts";

const first: Chance = { int: () => 0 };
const prefix = { key: bytes("k/"), rangeEnd: bytes("k0") };
const cheap = { ...prefix, serializable: true };

function seen({ result }: Reading): string {
  if (result === undefined) return "waiting";
  if (result.t === "failed") return `${result.failure.code} ${result.failure.message}`;
  return result.t === "aside" ? "aside" : `answered at ${result.revision}`;
}

/** A world with some keys under `k/`, which are held. */
async function held(options: ConstructorParameters<typeof ReadWorld>[1] = {}): Promise<ReadWorld> {
  const world = new ReadWorld(first, options);
  for (let i = 0; i < 4; i++) world.put(`k/${i}`);
  await world.sync();
  await world.heat(cheap);
  return world;
}

function storedEpochs(store: GuardedStore, clock: FakeClock): StoredEpochs {
  const epochs = new Epochs(() => "epoch-one");
  return new StoredEpochs({ store, clock, epochs, probe: () => Promise.resolve(header(50n)) });
}

/** What is there is older than what the client has seen, and no quorum says more: it is answered as it was asked. */
async function answersWithoutQuorum(world: ReadWorld): Promise<void> {
  world.put("k/1", "mine again");
  world.hasQuorum = false;
  const asked = world.read(cheap, world.etcd.head);
  await world.landAll();
  expect(seen(asked)).toMatch(/^answered/);
}

function ranges({ kind, request }: UpstreamRead) {
  if (kind === "range") return [fromBinary(RangeRequestSchema, request)];
  return fromBinary(TxnRequestSchema, request).success.map(({ request: op }) => {
    if (op.case !== "requestRange") throw new Error("something else than a read");
    return op.value;
  });
}

describe("held ranges", () => {
  it("rule 6: what the log has lost since the snapshot is not made up", async () => {
    const world = await held({ logBytes: 1_500 });
    expect(world.read(cheap).isNow).toBe(true);
    // More in one breath than the log holds: the first of it is gone before anybody has seen it.
    world.etcd.commit(
      Array.from({ length: 20 }, (_, i) => ({ key: `k/${i}`, isDelete: false, value: "v".repeat(200) })),
    );
    await world.sync();
    expect(world.cache.held.counts.ended.lost).toBe(1);
    expect(world.read(cheap).isNow).toBe(false);
  });

  it("rule 6: answers show the revision that they are proven at", async () => {
    const world = await held();
    world.put("elsewhere");
    expect(seen(world.read(cheap))).toBe(`answered at ${world.etcd.head - 1n}`);
    await world.sync();
    world.put("k/1", "new");
    await world.sync();
    expect(seen(world.read(cheap))).toBe(`answered at ${world.etcd.head}`);
  });

  it("rule 10: what carries riders has a linearizable read in it, of a key of their range", async () => {
    const world = await held();
    world.read(prefix);
    await world.settle();
    const sent = world.air.flatMap(({ read }) => ranges(read));
    expect(sent).toHaveLength(1);
    for (const range of sent) {
      expect(range.serializable).toBe(false);
      expect(String.fromCharCode(...range.key)).toBe("k/");
      expect(range.countOnly).toBe(true);
    }
    await world.landAll();
  });

  it("a lone read of one key is etcd's, and waits for nothing that is held", async () => {
    const world = await held();
    world.put("k/1", "new"); // which nobody has told the feed yet
    const reading = world.read({ key: bytes("k/1") });
    await world.landAll();
    expect(seen(reading)).toBe(`answered at ${world.etcd.head}`);
  });

  it("rule 28: a read that comes while a header is on its way waits for the next", async () => {
    const world = await held();
    const early = world.read(prefix);
    await world.settle();
    const late = world.read(prefix);
    world.put("k/1", "new");
    const [flying] = world.air;
    if (flying === undefined) throw new Error("nothing is in the air");
    await world.sync();
    world.land(flying);
    await world.settle();
    expect(seen(early)).toBe(`answered at ${world.etcd.head}`);
    expect(seen(late)).toBe("waiting");
    await world.landAll();
    expect(seen(late)).toBe(`answered at ${world.etcd.head}`);
  });

  it("waits until the feed is as far as the quorum, and asks etcd itself when that takes too long", async () => {
    const world = await held({ limits: { coverMs: 300 } });
    world.put("elsewhere");
    const patient = world.read(prefix);
    await world.landAll();
    expect(seen(patient)).toBe("waiting");
    await world.sync();
    await world.clock.advance(50); // asked again, for it was not answered while the member was behind
    await world.sync();
    expect(seen(patient)).toBe(`answered at ${world.etcd.head}`);
    world.put("elsewhere");
    const unlucky = world.read(prefix);
    await world.landAll();
    await world.clock.advance(300);
    await world.landAll();
    expect(seen(unlucky)).toBe(`answered at ${world.etcd.head}`);
    // For a while nobody waits for it again.
    world.read(prefix);
    await world.settle();
    expect(world.air.flatMap(({ read }) => ranges(read)).map(({ countOnly }) => countOnly)).toEqual([false]);
    await world.landAll();
  });

  it("rule 4: where progress is no coverage linearizable reads go to etcd, and others are answered still", async () => {
    const world = await held({ version: "3.4.23" });
    expect(world.read(cheap).isNow).toBe(true);
    world.read(prefix);
    await world.settle();
    expect(world.air.flatMap(({ read }) => ranges(read)).map(({ countOnly }) => countOnly)).toEqual([false]);
    await world.landAll();
  });

  it("rule 27: riders get their answers though what carried them was refused", async () => {
    const world = await held();
    const rider = world.read(prefix);
    await world.settle();
    const [flying] = world.air;
    flying?.end({ t: "refused", failure: { code: 8, message: "etcdserver: too many requests" } });
    world.air = world.air.filter((one) => one !== flying);
    await world.landAll();
    expect(seen(rider)).toBe(`answered at ${world.etcd.head}`);
  });

  it("rule 18: a permission is remembered for 5 s, and not at all once users or roles may have changed", async () => {
    const world = await held();
    world.permission = false;
    world.hasQuorum = false; // nobody says that it is gone
    await world.clock.advance(4_000);
    expect(world.read(cheap).isNow).toBe(true);
    await world.clock.advance(1_100);
    expect(world.read(cheap).isNow).toBe(false);
    await world.landAll();
    expect(seen(world.readings.at(-1) as Reading)).toBe("7 etcdserver: permission denied");

    const other = await held();
    expect(other.read(cheap).isNow).toBe(true);
    await other.clock.advance(1);
    other.cache.forgetPermissions();
    expect(other.read(cheap).isNow).toBe(false);
  });

  it("a permission that is withdrawn ends the range as soon as etcd says so", async () => {
    const world = await held();
    world.permission = false;
    await world.clock.advance(2_600);
    world.read(cheap);
    await world.settle();
    expect(world.cache.held.counts.ended.refused).toBe(1);
    expect(world.read(cheap).isNow).toBe(false);
  });

  it("rule 29: nothing below what the client has seen, but a quorum's word", async () => {
    const world = await held();
    world.put("k/1", "mine");
    const own = world.read(cheap, world.etcd.head);
    expect(own.isNow).toBe(false);
    await world.landAll();
    await world.sync();
    expect(seen(own)).toBe(`answered at ${world.etcd.head}`);
    await answersWithoutQuorum(world);
  });

  it("rule 29: nor the answer of a member that is behind it, unless no quorum says more", async () => {
    const world = new ReadWorld(first);
    world.put("k/1", "old");
    await world.sync();
    world.put("k/1", "mine"); // no other member has it yet
    const floor = world.etcd.head;
    const reading = world.read(cheap, floor);
    await world.landAll();
    expect(seen(reading)).toBe(`answered at ${floor}`);
    expect(world.cache.counts).toMatchObject({ missed: 1, belowFloor: 1 });
    await answersWithoutQuorum(world);
  });

  it("rule 3: nothing of a history that was replaced is shown", async () => {
    const world = await held();
    for (let i = 0; i < 10; i++) world.put("k/1");
    await world.sync();
    world.etcd.head -= 8n; // a backup was restored
    const reading = world.read(prefix);
    await world.landAll();
    expect(world.cache.held.size).toBe(0);
    expect(reading.result?.t === "answered" && reading.result.isLocal === true).toBe(false);
    expect(world.read(cheap).isNow).toBe(false);
  });

  it("rule 33: there are as many as the budget has, and who is read makes room for nobody", async () => {
    const world = new ReadWorld(first, { limits: { feeds: 2 } });
    for (const name of ["a", "b", "c"]) world.put(name);
    await world.sync();
    const hot = async (name: string): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        world.read({ key: bytes(name), serializable: true });
        await world.landAll();
        await world.sync();
      }
    };
    for (const name of ["a", "b", "c"]) await hot(name);
    expect(world.cache.held.size).toBe(2);
    expect(world.etcd.opened).toBe(2);
    expect(world.read({ key: bytes("c"), serializable: true }).isNow).toBe(false);
    await world.clock.advance(11_000);
    await hot("c");
    expect(world.read({ key: bytes("c"), serializable: true }).isNow).toBe(true);
    expect(world.cache.held.size).toBe(2);
  });

  it("rule 33: many hot keys that begin alike are one range", async () => {
    const world = new ReadWorld(first);
    for (let i = 0; i < 20; i++) world.put(`app/key-${i}`);
    await world.sync();
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 20; i++) {
        world.read({ key: bytes(`app/key-${i}`) });
        await world.landAll();
        await world.sync();
      }
    }
    expect(world.cache.held.size).toBe(1);
    expect(world.etcd.opened).toBe(1);
    expect(world.read({ key: bytes("app/key-7"), serializable: true }).isNow).toBe(true);
    expect(world.read({ key: bytes("app/unknown"), serializable: true }).isNow).toBe(true);
  });

  it("rule 33: a range that changes too much, or is too large, is not held", async () => {
    const busy = await held({ limits: { feedBytesPerSecond: 200 } });
    for (let i = 0; i < 20; i++) busy.put("k/1", "v".repeat(100));
    await busy.sync();
    expect(busy.cache.held.counts.ended.busy).toBe(1);
    await expect(held({ limits: { heldKeys: 3 } })).rejects.toThrow("not held");
    await expect(held({ limits: { heldBytes: 100 } })).rejects.toThrow("not held");
  });

  it("lets go of what nobody reads, and of its feeds", async () => {
    const world = await held({ limits: { idleMs: 2_000 } });
    expect(world.hubsOpen).toBe(1);
    await world.clock.advance(4_000);
    expect([world.cache.held.size, world.hubsOpen, [...world.hub.feeds()].length]).toEqual([0, 0, 0]);
  });

  it("ends when its feed does, and comes back", async () => {
    const world = await held();
    for (const feed of [...world.hub.feeds()]) feed.end({ t: "compacted", compactRevision: 99n });
    expect(world.read(cheap).isNow).toBe(false);
    await world.landAll();
    await world.clock.advance(1_100);
    await world.heat(cheap);
    expect(world.read(cheap).isNow).toBe(true);
  });
});

describe("answers at a revision", () => {
  const page = { ...prefix, limit: 2n };

  it("rule 30: travel once; others are vouched for by a count, which brings their header", async () => {
    const world = new ReadWorld(first, { credential: "" });
    for (let i = 0; i < 4; i++) world.put(`k/${i}`);
    const revision = world.etcd.head;
    const at = { ...page, revision };
    world.read(at);
    await world.settle();
    const joined = world.read(at);
    world.put("elsewhere");
    await world.landAll();
    expect(seen(joined)).toBe(`answered at ${world.etcd.head}`);
    world.put("elsewhere");
    const later = world.read(at);
    await world.settle();
    const [asked] = world.air.flatMap(({ read }) => ranges(read));
    expect([asked?.countOnly, asked?.rangeEnd.length, asked?.revision]).toEqual([true, 0, revision]);
    await world.landAll();
    expect(seen(later)).toBe(`answered at ${world.etcd.head}`);
    const body = later.result?.t === "answered" ? later.result.body : bytes("");
    expect(Buffer.from(body).toString("hex")).toBe(
      Buffer.from(world.naive(later.query, revision)).toString("hex"),
    );
  });

  it("with a credential all of the range is asked for, so that etcd decides who may read it", async () => {
    const world = new ReadWorld(first);
    world.put("k/1");
    const at = { ...page, revision: world.etcd.head };
    world.read(at);
    await world.landAll();
    world.read(at);
    await world.settle();
    const [asked] = world.air.flatMap(({ read }) => ranges(read));
    expect([asked?.countOnly, String.fromCharCode(...(asked?.rangeEnd ?? []))]).toEqual([true, "k0"]);
    world.permission = false;
    await world.landAll();
    expect(seen(world.readings.at(-1) as Reading)).toBe("7 etcdserver: permission denied");
  });

  it("a compaction that another replica was told of counts here too, until history is another one", async () => {
    const world = new ReadWorld(first);
    for (let i = 0; i < 4; i++) world.put(`k/${i}`);
    await world.sync();
    const at = { ...page, revision: 3n, serializable: true };
    world.read(at);
    await world.landAll();
    let others = 0n;
    world.cache.floor.follow(() => others);
    expect(seen(world.read(at))).toMatch(/^answered/);
    others = 4n;
    expect(seen(world.read(at))).toBe("11 etcdserver: mvcc: required revision has been compacted");
    expect(world.cache.floor.told, "what is heard is not passed on").toBe(0n);
    others = 0n;
    expect(seen(world.read(at))).toMatch(/^answered/);
  });

  it("a compaction that happened elsewhere is noticed within the time that permissions are remembered", async () => {
    const world = new ReadWorld(first);
    for (let i = 0; i < 4; i++) world.put(`k/${i}`);
    await world.sync();
    const at = { ...page, revision: 3n, serializable: true };
    world.read(at);
    await world.landAll();
    expect(world.read(at).isNow).toBe(true);
    world.etcd.compactRevision = 4n;
    await world.clock.advance(5_100);
    world.read(at);
    await world.landAll();
    expect(seen(world.readings.at(-1) as Reading)).toBe(
      "11 etcdserver: mvcc: required revision has been compacted",
    );
    const told = world.read(at);
    expect([told.isNow, seen(told)]).toEqual([
      true,
      "11 etcdserver: mvcc: required revision has been compacted",
    ]);
    expect(seen(world.read({ ...at, revision: 4n }))).toBe("waiting");
    await world.landAll();
  });

  it("are no more bytes than may be, however many different ranges are read", async () => {
    const world = new ReadWorld(first, { limits: { answerBytes: 20_000, feeds: 0 } });
    world.put("k/1", "v".repeat(100));
    for (let i = 0; i < 500; i++) {
      world.read({
        key: bytes(`k/${i % 10}`),
        rangeEnd: bytes(`k0${i}`),
        limit: 5n,
        revision: world.etcd.head,
      });
      await world.landAll();
    }
    expect(world.cache.size.bytes).toBeLessThanOrEqual(20_000);
    expect(world.cache.size.entries).toBeGreaterThan(10);
  });

  it("--cache-max-age: an answer stands for that long, for those who have seen nothing newer", async () => {
    const world = new ReadWorld(first, { limits: { feeds: 0, maxAgeMs: 500 } });
    world.put("k/1");
    await world.sync();
    const query = { key: bytes("k/1"), serializable: true };
    expect(world.read(query).isNow).toBe(false);
    await world.landAll();
    const before = world.etcd.head;
    world.put("k/1");
    expect(seen(world.read(query))).toBe(`answered at ${before}`);
    const own = world.read(query, world.etcd.head);
    expect(own.isNow).toBe(false);
    await world.landAll();
    expect(seen(own)).toBe(`answered at ${world.etcd.head}`);
    await world.clock.advance(501);
    expect(world.read({ key: bytes("k/1"), serializable: true }).isNow).toBe(false);
    await world.landAll();
  });
});

describe("the shared store", () => {
  /** A store that answers when it is told to. */
  class SlowStore implements SharedStore {
    readonly waiting: PromiseWithResolvers<Uint8Array | undefined>[] = [];
    get(): Promise<Uint8Array | undefined> {
      const answer = Promise.withResolvers<Uint8Array | undefined>();
      this.waiting.push(answer);
      return answer.promise;
    }
    set(): Promise<void> {
      return new Promise(() => {});
    }
  }

  it("costs nobody more than its budget, and is left alone after several late answers", async () => {
    const clock = new FakeClock();
    const slow = new SlowStore();
    const store = new GuardedStore(slow, clock, { budgetMs: 10, maxFailures: 3 });
    for (let i = 0; i < 3; i++) {
      const looked = store.get("k");
      await clock.advance(10);
      expect(await looked).toBeUndefined();
    }
    expect(store.state).toBe("open");
    expect(await store.get("k")).toBeUndefined();
    expect(slow.waiting).toHaveLength(3);
    await clock.advance(1_000);
    const trial = store.get("k");
    expect(await store.get("another")).toBeUndefined();
    slow.waiting.at(-1)?.resolve(bytes("v"));
    expect(await trial).toEqual(bytes("v"));
    expect(store.state).toBe("closed");
    expect(store.counts).toMatchObject({ late: 3, skipped: 2, hits: 1 });
  });

  it("takes only so much that is on its way", () => {
    const store = new GuardedStore(new SlowStore(), new FakeClock(), { maxPendingBytes: 100 });
    for (let i = 0; i < 5; i++) store.set("k", new Uint8Array(40), 1_000);
    expect(store.counts).toMatchObject({ writes: 2, dropped: 3 });
  });

  it("rule 37: entries of another format are none, and where anybody can write nothing is taken for users", async () => {
    const clock = new FakeClock();
    const shared = new InProcessStore(clock, 1 << 20);
    const guarded = new GuardedStore(shared, clock);
    using epoch = storedEpochs(guarded, clock);
    await settle();
    const open = new RemoteAnswers(guarded, epoch, false);
    open.set("k", 40n, bytes("body"), 1_000, false);
    open.set("secret", 40n, bytes("body"), 1_000, true);
    expect(await open.get("k", false)).toEqual(bytes("body"));
    expect(await open.get("k", true)).toBeUndefined();
    const closed = new RemoteAnswers(guarded, epoch, true);
    expect(await closed.get("secret", true)).toBeUndefined();
    await shared.set(`${epoch.prefix}other`, Uint8Array.of(9, 1, 2), 1_000);
    expect(await open.get("other", false)).toBeUndefined();
    expect(open.foreign).toBe(1);
  });

  it("gives one replica the pages that another has read, and loses nothing when it is gone", async () => {
    const clock = new FakeClock();
    const shared = new InProcessStore(clock, 1 << 20);
    const remoteOf = async (): Promise<RemoteAnswers> => {
      const guarded = new GuardedStore(shared, clock);
      const epoch = storedEpochs(guarded, clock);
      await settle();
      return new RemoteAnswers(guarded, epoch, true);
    };
    const [one, two] = [
      new ReadWorld(first, { remote: await remoteOf() }),
      new ReadWorld(first, { remote: await remoteOf() }),
    ];
    for (const world of [one, two]) for (let i = 0; i < 4; i++) world.put(`k/${i}`);
    const page = { ...prefix, limit: 2n, revision: one.etcd.head };
    one.read(page);
    await one.landAll();
    const reading = two.read(page);
    await two.settle();
    expect(two.air.flatMap(({ read }) => ranges(read)).map(({ countOnly }) => countOnly)).toEqual([true]);
    await two.landAll();
    expect(
      readResponseHeader(reading.result?.t === "answered" ? reading.result.head : bytes("")).revision,
    ).toBe(two.etcd.head);
    expect(two.cache.counts.stored).toBe(1);
  });
});
