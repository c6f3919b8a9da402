import { create, EnvelopeSchema, FeedRole, toBinary } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { CreateBudget } from "../src/fabric/create-budget.ts";
import { rankReplicas } from "../src/fabric/rendezvous.ts";
import { Roster } from "../src/fabric/roster.ts";
import { type KeyRange, rangeId, toKeyRange } from "../src/range/key-range.ts";
import { History } from "../src/watch/history.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import { ModelEtcd } from "./model-etcd.ts";
import { ModelFleet } from "./model-fleet.ts";
import { askProgress, createWatch, digest, type ModelReplica, type ModelSession } from "./model-replica.ts";
import { seeded } from "./seeded.ts";

const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
function rangeOf(key: string, rangeEnd = ""): KeyRange {
  const range = toKeyRange({ key: bytes(key), rangeEnd: bytes(rangeEnd) });
  if (range === undefined) throw new Error("not a range");
  return range;
}
const a = rangeOf("a");

/** Replicas that each have a client who watches the range, on a bus that works. */
async function fleetOf(count: number, range = a, version = "3.5.30"): Promise<ModelFleet> {
  const fleet = new ModelFleet(seeded(7), { version });
  for (let i = 0; i < count; i++) {
    fleet.start();
    await fleet.run(300);
  }
  for (const replica of fleet.replicas) watch(replica, range);
  await fleet.run(1_000);
  return fleet;
}

function watch(
  replica: ModelReplica,
  range: KeyRange,
  more: { prevKv?: boolean; start?: bigint } = {},
): ModelSession {
  const session = replica.openSession();
  createWatch(session, replica.etcd, { range, start: more.start ?? 0n, prevKv: more.prevKv ?? false });
  return session;
}

const count = (fleet: ModelFleet, range: KeyRange): number => fleet.watchesAtEtcd.get(rangeId(range)) ?? 0;

function revisions({ client }: ModelSession): readonly (bigint | undefined)[] {
  return [...client.watches.values()].flatMap(({ events }) => events.map(({ kv }) => kv?.modRevision));
}

/** Who watches at etcd, and who lives on that. */
function roles(fleet: ModelFleet): { ingesters: ModelReplica[]; followers: ModelReplica[] } {
  const has = (replica: ModelReplica, via: string): boolean =>
    [...replica.hub.feeds()].some((feed) => feed.via === via);
  return {
    ingesters: fleet.alive.filter((replica) => has(replica, "etcd")),
    followers: fleet.alive.filter((replica) => has(replica, "fabric")),
  };
}

function the(replicas: readonly ModelReplica[]): ModelReplica {
  const [one, another] = replicas;
  if (one === undefined || another !== undefined) throw new Error(`${replicas.length} instead of one`);
  return one;
}

describe("rule 3: which history it is", () => {
  const header = (revision: bigint, raftTerm = 2n) => ({ clusterId: 7n, memberId: 1n, revision, raftTerm });

  it("a raft term that stays lower for 5 s is that of another history, though the revision is higher", async () => {
    const clock = new FakeClock();
    const history = new History(clock);
    const judge = (revision: bigint, raftTerm: bigint) =>
      history.judge(header(revision, raftTerm), history.mark);
    expect(judge(9n, 4n)).toBe("same");
    expect(judge(10n, 3n)).toBe("same");
    await clock.advance(3_000);
    expect(judge(11n, 4n)).toBe("same"); // one of them was only late
    expect(judge(12n, 3n)).toBe("same");
    await clock.advance(5_000);
    expect(judge(13n, 3n)).toBe("replaced");
  });

  it("a replica that slept through it believes the others, and its own frames are not believed", async () => {
    const fleet = await fleetOf(2);
    for (let i = 0; i < 5; i++) fleet.put("a");
    await fleet.run(500);
    const asleep = the(roles(fleet).ingesters);
    const awake = the(roles(fleet).followers);
    asleep.pause(true);
    for (const { open } of fleet.replicas) for (const { client } of open) client.isRestored = true;
    fleet.etcd.restore(3n);
    await fleet.run(3_000);
    for (let i = 0; i < 9; i++) fleet.put("a"); // past what was known before
    await fleet.run(1_000);
    expect(awake.open[0]?.client.over, "who saw it").toMatchObject([{ end: { compactRevision: 3n } }]);
    const again = watch(awake, a);
    asleep.pause(false);
    await fleet.run(2_000);
    // Each gave up what it knew once, who saw it too.
    expect([asleep, awake].map(({ hub }) => hub.history.epoch)).toEqual([1, 1]);
    expect(asleep.open[0]?.client.over, "who slept").toHaveLength(1);
    fleet.put("a");
    await fleet.run(500);
    expect(revisions(again)).toEqual([fleet.etcd.head]);
    fleet.close();
  });
});

describe("rule 16: signs of life are not coverage", () => {
  it("a follower leaves an ingester that is behind what a quorum said two seconds ago", async () => {
    const fleet = await fleetOf(2);
    const cutOff = the(roles(fleet).ingesters);
    const follower = the(roles(fleet).followers);
    // Its etcd has lost touch with the others: it answers, and knows of nothing new.
    const [feed] = cutOff.hub.feeds();
    const frozen = fleet.etcd.memberOf(feed?.member ?? "");
    cutOff.hasQuorum = false;
    fleet.etcd.commit([{ key: "a", isDelete: false, value: "v" }]);
    for (const member of fleet.etcd.members) if (member !== frozen) member.applied = fleet.etcd.head;
    await fleet.run(1_500);
    expect(roles(fleet).followers, "until then nothing is wrong").toEqual([follower]);
    await fleet.run(4_500);
    expect(revisions(follower.open[0] as ModelSession)).toEqual([fleet.etcd.head]);
    expect(follower.hub.counters.feedsMoved).toBeGreaterThan(0);
    fleet.close();
  });

  it("progress and bookmarks come through: what a follower's client is told, etcd has said since it asked", async () => {
    const fleet = await fleetOf(2);
    const follower = the(roles(fleet).followers);
    const [session] = follower.open;
    fleet.put("elsewhere");
    const asked = fleet.etcd.head;
    if (session !== undefined) askProgress(session);
    await fleet.run(300);
    expect(session?.client.progressAnswers).toBe(1);
    expect([...follower.hub.feeds()][0]?.log.head).toBe(asked);
    fleet.close();
  });
});

describe("rule 17: frames", () => {
  it("ranges that mean the same are one, whatever their shape", async () => {
    const fleet = await fleetOf(2, rangeOf("k"));
    watch(the(roles(fleet).followers), rangeOf("k", "k\0"));
    await fleet.run(500);
    expect(fleet.etcd.streams.size).toBe(1);
    expect(count(fleet, rangeOf("k"))).toBe(1);
    fleet.close();
  });

  it("a range inside another one's lives on that one's frames, and gets only what is its own", async () => {
    const fleet = await fleetOf(1, rangeOf("a", "d"));
    const narrow = watch(fleet.start(), rangeOf("b"));
    await fleet.run(2_000);
    for (const key of ["a", "b", "c", "b"]) fleet.put(key);
    await fleet.run(300);
    expect(revisions(narrow)).toEqual([fleet.etcd.head - 2n, fleet.etcd.head]);
    expect(fleet.watchesAtEtcd).toEqual(new Map([[rangeId(rangeOf("a", "d")), 1]]));
    fleet.close();
  });

  it("when a wider watch comes the narrower ones at etcd end, without a gap; when it goes they are there again", async () => {
    const fleet = await fleetOf(2, rangeOf("b"));
    const wide = watch(fleet.start(), rangeOf("a", "d"));
    const written: bigint[] = [];
    const put = async (): Promise<void> => {
      fleet.put("b");
      written.push(fleet.etcd.head);
      await fleet.run(150);
    };
    for (let i = 0; i < 30; i++) await put();
    expect(fleet.watchesAtEtcd).toEqual(new Map([[rangeId(rangeOf("a", "d")), 1]]));
    wide.session.close();
    for (let i = 0; i < 30; i++) await put();
    expect(fleet.watchesAtEtcd).toEqual(new Map([[rangeId(rangeOf("b")), 1]]));
    for (const replica of fleet.replicas.slice(0, 2))
      expect(revisions(replica.open[0] as ModelSession)).toEqual(written);
    // Once a minute and no more: a second wide watch is not followed by those who just came back from one.
    watch(fleet.replicas[2] as ModelReplica, rangeOf("a", "d"));
    for (let i = 0; i < 20; i++) await put();
    expect(count(fleet, rangeOf("b"))).toBe(1);
    for (let i = 0; i < 500; i++) await put();
    expect(count(fleet, rangeOf("b"))).toBe(0);
    fleet.close();
  });

  it("inside one process as well: a narrow watch at etcd ends when there is a wider one", async () => {
    const fleet = await fleetOf(1, rangeOf("b"));
    const replica = the(fleet.alive);
    const wide = watch(replica, rangeOf("a", "d"));
    const put = async (): Promise<void> => {
      fleet.put("b");
      await fleet.run(150);
    };
    for (let i = 0; i < 30; i++) await put();
    expect(fleet.watchesAtEtcd).toEqual(new Map([[rangeId(rangeOf("a", "d")), 1]]));
    wide.session.close();
    for (let i = 0; i < 30; i++) await put();
    expect(fleet.watchesAtEtcd).toEqual(new Map([[rangeId(rangeOf("b")), 1]]));
    expect(revisions(replica.open[0] as ModelSession)).toHaveLength(60);
    fleet.close();
  });

  it("previous values come from who has them: the ingester asks for them because a follower wants them", async () => {
    const fleet = await fleetOf(2);
    const ingester = the(roles(fleet).ingesters);
    const wants = watch(the(roles(fleet).followers), a, { prevKv: true });
    for (let i = 0; i < 40; i++) {
      fleet.put("a"); // the client checks each of them
      await fleet.run(100);
    }
    expect(revisions(wants).length).toBeGreaterThan(30);
    expect([...ingester.hub.feeds()][0]?.prevKvBase).toBeDefined();
    expect(count(fleet, a)).toBe(1);
    fleet.close();
  });

  it("who comes to follow asks once its subscription is in force, and misses nothing in between", async () => {
    const fleet = await fleetOf(1);
    const late = fleet.start();
    await fleet.run(300);
    const session = watch(late, a);
    for (let i = 0; i < 10; i++) {
      fleet.put("a");
      // The server takes notice of subscriptions only now and then.
      for (const stream of fleet.etcd.streams) {
        stream.sync();
        stream.deliver();
      }
      fleet.bus.deliver(100);
      await settle();
      if (i === 5) await fleet.run(100);
    }
    await fleet.run(500);
    const all = [...session.client.watches.values()].flatMap((one) => session.client.expected(one));
    expect(revisions(session)).toEqual(all.map(({ revision }) => revision));
    expect(late.fabric.counters.framesIn).toBeGreaterThan(0);
    expect(count(fleet, a)).toBe(1);
    fleet.close();
  });

  it("frames that change places are put right within 20 ms; one that is lost is asked for, of the ingester", async () => {
    const fleet = await fleetOf(2);
    const follower = the(roles(fleet).followers);
    const { counters } = follower.fabric;
    const say = async (): Promise<void> => {
      fleet.put("a");
      for (const stream of fleet.etcd.streams) {
        stream.sync();
        stream.deliver();
      }
      await settle();
    };
    await say();
    await say();
    fleet.bus.swapLast();
    await fleet.run(100, 10);
    expect(counters).toMatchObject({ repairsHeld: 1, repairsLog: 0, repairsEtcd: 0 });
    fleet.bus.weather.drop = 100;
    await say();
    fleet.bus.weather.drop = 0;
    await say();
    await fleet.run(100, 10);
    expect(counters).toMatchObject({ repairsHeld: 1, repairsLog: 1, repairsEtcd: 0 });
    expect(revisions(follower.open[0] as ModelSession)).toHaveLength(4);
    expect(fleet.etcd.opened).toBe(1);
    fleet.close();
  });

  it("a revision that NATS would not carry is announced; who follows gets it from etcd", async () => {
    const fleet = new ModelFleet(seeded(3), { version: "3.5.30" });
    for (const _ of [1, 2]) {
      fleet.start(6_000);
      await fleet.run(300);
    }
    for (const replica of fleet.replicas) watch(replica, a);
    await fleet.run(500);
    const follower = the(roles(fleet).followers);
    fleet.etcd.commit([{ key: "a", isDelete: false, value: "v".repeat(9_000) }]);
    for (const member of fleet.etcd.members) member.applied = fleet.etcd.head;
    await fleet.run(1_000);
    expect(revisions(follower.open[0] as ModelSession)).toEqual([fleet.etcd.head]);
    expect(follower.fabric.counters.repairsEtcd).toBe(1);
    fleet.put("a");
    await fleet.run(2_000);
    expect(count(fleet, a), "and goes back to following").toBe(1);
    fleet.close();
  });
});

describe("rule 26: who opens when an ingester is gone", () => {
  /** Names in the order in which they come for the range. */
  const order = (fleet: ModelFleet): string[] =>
    rankReplicas(
      digest,
      digest(rangeId(a)),
      fleet.alive.map(({ name }) => name),
    );

  it("comes first in an order that all agree on, and one replica less moves nothing else", () => {
    const all = ["r0", "r1", "r2", "r3"];
    for (let i = 0; i < 200; i++) {
      const feed = digest(`feed ${i}`);
      const ranked = rankReplicas(digest, feed, all);
      expect(rankReplicas(digest, feed, [...all].reverse())).toEqual(ranked);
      const [first = ""] = ranked;
      const without = all.filter((name) => name !== first);
      expect(rankReplicas(digest, feed, without)).toEqual(ranked.slice(1));
    }
    const owners = new Set(
      Array.from({ length: 200 }, (_, i) => rankReplicas(digest, digest(`feed ${i}`), all)[0]),
    );
    expect(owners.size).toBe(4);
  });

  it("after a death: the next one after two seconds of silence, and nobody else", async () => {
    const fleet = await fleetOf(4);
    const dead = the(roles(fleet).ingesters);
    const { opened } = fleet.etcd;
    dead.kill();
    await fleet.run(1_500);
    expect(fleet.etcd.opened - opened).toBe(0);
    for (let i = 0; i < 20; i++) {
      await fleet.run(100);
      expect(count(fleet, a)).toBeLessThanOrEqual(2);
    }
    expect(fleet.etcd.opened - opened).toBe(1);
    expect(the(roles(fleet).ingesters).name).toBe(order(fleet)[0]);
    fleet.close();
  });

  it("when the next one is dead as well: the one after it, 250 ms later", async () => {
    const fleet = await fleetOf(4);
    await fleet.run(6_000); // until the watch is with whom it comes to first
    const ranked = order(fleet);
    expect(the(roles(fleet).ingesters).name).toBe(ranked[0]);
    for (const replica of fleet.alive.filter(({ name }) => ranked.indexOf(name) < 2)) replica.kill();
    const { opened } = fleet.etcd;
    await fleet.run(3_000);
    expect(fleet.etcd.opened - opened).toBe(1);
    expect(the(roles(fleet).ingesters).name).toBe(ranked[2]);
    fleet.close();
  });

  it("when it says that it stops: at once; and nothing is missed", async () => {
    const fleet = await fleetOf(3);
    const ingester = the(roles(fleet).ingesters);
    const [client] = ingester.open;
    client?.session.close();
    fleet.put("a");
    await fleet.run(100, 10);
    expect(count(fleet, a)).toBe(1);
    for (const replica of fleet.alive.filter((one) => one !== ingester))
      expect(revisions(replica.open[0] as ModelSession)).toEqual([fleet.etcd.head]);
    fleet.close();
  });

  it("before it leaves: the next one has the watch before the old one lets go of it", async () => {
    const fleet = await fleetOf(3);
    const ingester = the(roles(fleet).ingesters);
    let isDrained = false;
    void ingester.fabric.drain().then(() => {
      isDrained = true;
    });
    while (!isDrained) {
      await fleet.run(20, 10);
      expect(count(fleet, a)).toBeGreaterThanOrEqual(1);
      expect(count(fleet, a)).toBeLessThanOrEqual(2);
    }
    expect(
      roles(fleet).ingesters.filter((one) => one !== ingester),
      fleet.explain(),
    ).toHaveLength(1);
    ingester.kill();
    fleet.put("a");
    await fleet.run(100);
    expect(fleet.etcd.opened).toBe(2);
    fleet.close();
  });

  it("a replica that comes first takes its feeds back once it has been there for five seconds, without a gap", async () => {
    const fleet = await fleetOf(3);
    const first = order(fleet)[0];
    const written: bigint[] = [];
    for (let i = 0; i < 80; i++) {
      fleet.put("a");
      written.push(fleet.etcd.head);
      await fleet.run(100);
      expect(count(fleet, a)).toBeLessThanOrEqual(2);
    }
    expect(the(roles(fleet).ingesters).name).toBe(first);
    expect(count(fleet, a)).toBe(1);
    for (const { open } of fleet.alive) expect(revisions(open[0] as ModelSession)).toEqual(written);
    fleet.close();
  });

  it("replicas that open the same range at once open it once", async () => {
    const fleet = new ModelFleet(seeded(1), { version: "3.5.30" });
    for (let i = 0; i < 3; i++) fleet.start();
    await fleet.run(1_000);
    for (const replica of fleet.replicas) watch(replica, rangeOf("other"));
    await fleet.run(500);
    for (const replica of fleet.replicas) watch(replica, a);
    await fleet.run(1_000);
    expect(count(fleet, a)).toBe(1);
    fleet.close();
  });

  it("what all lose at once is opened again a few at a time", async () => {
    const clock = new FakeClock();
    const budget = new CreateBudget(clock, { perSecond: 10, burst: 2, maxWaitMs: 500 });
    const got: string[] = [];
    for (let i = 0; i < 9; i++) {
      const granted = budget.take();
      if (granted === true) got.push(`${i} at once`);
      else void granted.then((isGranted) => got.push(`${i} ${isGranted} at ${clock.nowMs()}`));
    }
    expect(budget.waiting.count).toBe(7);
    await clock.advance(1_000);
    expect(got).toEqual([
      ...["0 at once", "1 at once"],
      ...["2 true at 100", "3 true at 200", "4 true at 300", "5 true at 400"],
      ...["6 false at 500", "7 false at 500", "8 false at 500"],
    ]);
    expect(budget).toMatchObject({ granted: 6, refused: 3 });
  });

  it("when the bus is gone everybody watches for himself; when it is back they share again, and nobody misses anything", async () => {
    const fleet = await fleetOf(3);
    for (const { end } of fleet.alive) end.connect(false);
    const written: bigint[] = [];
    const put = async (): Promise<void> => {
      fleet.put("a");
      written.push(fleet.etcd.head);
      await fleet.run(200);
    };
    for (let i = 0; i < 20; i++) await put();
    expect(count(fleet, a)).toBe(3);
    for (const { end } of fleet.alive) end.connect(true);
    for (let i = 0; i < 20; i++) await put();
    expect(count(fleet, a)).toBe(1);
    for (const { open } of fleet.alive) expect(revisions(open[0] as ModelSession)).toEqual(written);
    fleet.close();
  });
});

describe("what is compacted", () => {
  it("as one replica was told by etcd all know, and ask etcd no more about it", async () => {
    const fleet = await fleetOf(2);
    for (let i = 0; i < 9; i++) fleet.put("a");
    await fleet.run(500);
    fleet.etcd.compactRevision = 5n;
    // Their logs go back to there: somebody without one asks.
    const range = rangeOf("b");
    const [one, two] = fleet.replicas as [ModelReplica, ModelReplica];
    for (const replica of [one, two]) watch(replica, range);
    await fleet.run(2_000);
    const [told, heard] = [one, two].map((replica) => watch(replica, range, { start: 2n }));
    await fleet.run(2_000);
    for (const session of [told, heard])
      expect(session?.client.over).toMatchObject([{ end: { compactRevision: 5n } }]);
    const before = [one, two].map(({ hub }) => hub.counters.catchUpsOpened);
    expect(before.toSorted()).not.toEqual([0, 0]);
    const again = [one, two].map((replica) => watch(replica, range, { start: 3n }));
    await fleet.run(500);
    for (const { client } of again) expect(client.over).toMatchObject([{ end: { compactRevision: 5n } }]);
    expect([one, two].map(({ hub }) => hub.counters.catchUpsOpened)).toEqual(before);
    expect(Math.max(...[one, two].map(({ sharing }) => Number(sharing?.compactRevision)))).toBe(5);
    fleet.close();
  });

  it("rule 37: is not what lies above all that a quorum has said, nor what was said of another history", () => {
    const roster = new Roster(new FakeClock(), () => {});
    const record = { ...{ clusterId: 7n, revision: 100n, raftTerm: 2n }, aliases: [], replaced: [] };
    const ours = { ...record, epoch: { id: "ours", number: 0n } };
    const other = { ...record, epoch: { id: "other", number: 0n } };
    const say = (id: string, known: typeof ours, compactRevision: bigint): void => {
      const body = { case: "presence" as const, value: { compactRevision } };
      const presence = create(EnvelopeSchema, { body }).body;
      if (presence.case === "presence") roster.heard(id, known, presence.value);
    };
    say("one", ours, 40n);
    say("liar", ours, 101n);
    say("stranger", other, 60n);
    expect(roster.compactRevisionOf(ours)).toBe(40n);
    expect(roster.compactRevisionOf(undefined)).toBe(0n);
    roster.close();
  });
});

describe("rule 32: another cluster", () => {
  it("is another fleet, though its clients watch the same on the same bus", async () => {
    const fleet = await fleetOf(1);
    const other = new ModelEtcd(seeded(2), { members: 1, version: "3.5.30" });
    other.clusterId = 8n;
    const stranger = fleet.start(undefined, other);
    const session = watch(stranger, a);
    for (let i = 0; i < 10; i++) {
      for (const stream of other.streams) {
        stream.sync();
        stream.deliver();
      }
      fleet.put("a");
      await fleet.run(100);
    }
    expect(stranger.sharing?.peers).toBe(0);
    expect(revisions(session)).toEqual([]);
    expect([...stranger.hub.feeds()].map(({ via }) => via)).toEqual(["etcd"]);
    fleet.close();
  });
});

describe("rule 37: what comes over the bus is not trusted", () => {
  const sender = { replica: "mallory", clusterId: 7n };
  const say = (fleet: ModelFleet, channel: string, envelope: object): void =>
    fleet.bus.post(channel, toBinary(EnvelopeSchema, create(EnvelopeSchema, { ...sender, ...envelope })));

  it.each([
    ["of a format that is not ours", { version: 2 }, "ignoredVersion"],
    ["without a body", { version: 1 }, "ignoredMalformed"],
    [
      "of a sender whose name could be more than one token",
      { version: 1, replica: "a.>" },
      "ignoredMalformed",
    ],
    [
      "of another cluster",
      { version: 1, clusterId: 8n, body: { case: "rollCall", value: {} } },
      "ignoredHistory",
    ],
    [
      "of another history",
      { version: 1, epoch: { id: "x", number: 0n }, body: { case: "rollCall", value: {} } },
      "ignoredHistory",
    ],
  ] as const)("a message %s is ignored, and counted", async (_name, envelope, counter) => {
    const fleet = await fleetOf(1);
    const { counters } = the(fleet.alive).fabric;
    const before = counters[counter];
    say(fleet, "7.scope.all", envelope);
    await fleet.run(50);
    expect(counters[counter]).toBe(before + 1);
    fleet.close();
  });

  it("bytes that are no message, and frames that say what no honest one says, are ignored, and counted", async () => {
    const fleet = await fleetOf(2);
    const follower = the(roles(fleet).followers);
    const { counters } = follower.fabric;
    const before = { ...counters };
    fleet.bus.post("7.scope.all", bytes("nonsense"));
    await fleet.run(50);
    expect(counters.ignoredMalformed - before.ignoredMalformed).toBe(1);
    const channel = `7.scope.frames.${digest(rangeId(a))}`;
    const epoch = { id: "r0-0", number: 0n };
    const range = { key: bytes("a"), rangeEnd: bytes("") };
    const frames = [
      { range, prev: 5n, upto: 4n },
      { range: { ...range, key: bytes("b") }, prev: 1n, upto: 99n },
      { range, prev: 1n, upto: 99n, response: bytes("\x5a\x7f") },
      { prev: 1n, upto: 99n },
    ];
    for (const value of frames) say(fleet, channel, { version: 1, epoch, body: { case: "frame", value } });
    await fleet.run(50);
    expect(counters.ignoredMalformed - before.ignoredMalformed).toBe(5);
    expect(counters.ignoredHistory).toBe(before.ignoredHistory);
    fleet.put("a");
    await fleet.run(100);
    expect(revisions(follower.open[0] as ModelSession)).toEqual([fleet.etcd.head]);
    fleet.close();
  });

  it("a stranger who claims to have a watch and never says anything costs time, not events", async () => {
    const fleet = new ModelFleet(seeded(5), { version: "3.5.30" });
    const replica = fleet.start();
    await fleet.run(300);
    watch(replica, rangeOf("q"));
    await fleet.run(300);
    const state = { range: { key: bytes("a") }, role: FeedRole.INGESTING, upto: 1n, canProgress: true };
    const body = { case: "feeds", value: { states: [state] } };
    say(fleet, "7.scope.all", { version: 1, epoch: { id: "r0-0", number: 0n }, body });
    await fleet.run(50);
    const session = watch(replica, a);
    await fleet.run(2_000);
    fleet.put("a");
    await fleet.run(100);
    expect(revisions(session)).toEqual([fleet.etcd.head]);
    fleet.close();
  });
});
