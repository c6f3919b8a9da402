import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FakeMembers, ManualClock } from "./fake-members.ts";
import type { KeepAliveSession } from "./keep-alive-session.ts";
import { LeaseBook } from "./lease-book.ts";
import type { LeaseBookLimits } from "./lease-limits.ts";
import type { RenewalAnswer, RenewalFailure, RenewalScope } from "./ports.ts";

const anonymous: RenewalScope = { credential: undefined, hasLeader: false };

interface Client {
  readonly session: KeepAliveSession;
  readonly answers: RenewalAnswer[];
  readonly failures: RenewalFailure[];
  /** TTLs told so far. */
  ttls(): number[];
}

class World {
  readonly clock = new ManualClock();
  readonly etcd = new FakeMembers(this.clock);
  readonly book: LeaseBook;

  constructor(limits: Partial<LeaseBookLimits> = {}) {
    this.book = new LeaseBook({ open: this.etcd.openStream, clock: this.clock, limits });
  }

  client(scope: RenewalScope = anonymous): Client {
    const answers: RenewalAnswer[] = [];
    const failures: RenewalFailure[] = [];
    const session = this.book.open(scope, {
      onAnswer: (answer) => void answers.push(answer),
      onFailure: (failure) => void failures.push(failure),
    });
    return { session, answers, failures, ttls: () => answers.map(({ ttlSeconds }) => ttlSeconds) };
  }

  renewalsOf(leaseId: bigint): number {
    return this.etcd.renewals.filter((one) => one.leaseId === leaseId).length;
  }
}

describe("rule 12: what is shared, and for how long", () => {
  it("tells the one who asked what etcd answered, and those within the window what is left of it", () => {
    const { clock, etcd, book, client } = bind(new World());
    etcd.grant(1n, 12);
    const one = client();
    one.session.renew(1n);
    clock.advance(10);
    const other = client();
    other.session.renew(1n);
    clock.advance(900);
    other.session.renew(1n);
    expect(one.ttls()).toEqual([12]);
    expect(other.ttls()).toEqual([11, 11]); // rounded down, never up
    expect(etcd.renewals).toHaveLength(1);
    book[Symbol.dispose]();
  });

  it("asks etcd once per window for a client that renews in a tight loop", () => {
    const world = new World();
    world.etcd.grant(1n, 60);
    const { session, answers } = world.client();
    for (let i = 0; i < 5_000; i++) {
      session.renew(1n);
      world.clock.advance(1);
    }
    expect(world.renewalsOf(1n)).toBeLessThanOrEqual(5);
    expect(answers).toHaveLength(5_000);
  });

  it.each([
    [12, 1_000],
    [6, 1_000],
    [3, 500],
    [2, 333],
  ])("a lease of %i s is shared for %i ms: min(1 s, TTL/6)", (ttl, windowMs) => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, ttl);
    const { session } = client();
    session.renew(1n);
    clock.advance(windowMs);
    session.renew(1n);
    clock.advance(10);
    expect(etcd.renewals).toHaveLength(1);
    session.renew(1n);
    clock.advance(10);
    expect(etcd.renewals).toHaveLength(2);
  });

  it("never shares a lease of 1 s: rounded down it would look dead", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 1);
    const { session, ttls } = client();
    for (let i = 0; i < 10; i++) {
      session.renew(1n);
      clock.advance(5);
    }
    expect(ttls()).toEqual(Array(10).fill(1));
    expect(etcd.renewals).toHaveLength(10);
  });

  it("renews upstream only what a client renewed since", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 20);
    const { session } = client();
    session.renew(1n);
    clock.advance(15_000);
    expect(etcd.renewals).toHaveLength(1);
  });

  it("counts the time from when the renewal was sent, not from its answer", () => {
    const { clock, etcd, client } = bind(new World({ maxShareMs: 5_000 }));
    etcd.grant(1n, 30);
    etcd.latencyMs = 900;
    const early = client();
    early.session.renew(1n);
    clock.advance(100);
    const late = client();
    late.session.renew(1n);
    clock.advance(2_000);
    expect(early.ttls()).toEqual([30]);
    expect(late.ttls()).toEqual([29]);
    late.session.renew(1n);
    expect(late.ttls()).toEqual([29, 27]); // 2.1 s after it was sent
    expect(etcd.renewals).toHaveLength(1);
  });

  it("takes the whole seconds off that an answer was on its way", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 30);
    etcd.latencyMs = 2_500;
    etcd.members = ["a"];
    const { session, ttls } = client();
    session.renew(1n);
    clock.advance(2_600);
    expect(ttls()[0]).toBe(28);
  });

  it("shares nothing after a pause of this process", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 60);
    const { session } = client();
    session.renew(1n);
    clock.advance(10);
    clock.freeze(400);
    session.renew(1n);
    clock.advance(10);
    expect(etcd.renewals).toHaveLength(2);
  });

  it("shares nothing after the machine slept, which only the wall clock saw", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 60);
    const { session } = client();
    session.renew(1n);
    clock.advance(10);
    clock.sleep(30_000);
    session.renew(1n);
    clock.advance(10);
    expect(etcd.renewals).toHaveLength(2);
  });

  it("an answer that was waiting through a pause is for those who waited, and for nobody else", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 60);
    const { session, ttls } = client();
    session.renew(1n);
    clock.freeze(900);
    clock.advance(10);
    expect(ttls()).toEqual([60]);
    session.renew(1n);
    clock.advance(10);
    expect(etcd.renewals).toHaveLength(2);
  });
});

describe("rule 12: a lease that is gone", () => {
  it("is answered 0, and only because etcd said so", () => {
    const { clock, client } = bind(new World());
    const { session, ttls } = client();
    session.renew(7n);
    clock.advance(5);
    expect(ttls()).toEqual([0]);
  });

  it("0 is not shared: the lease may have been granted since", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.latencyMs = 20;
    const early = client();
    early.session.renew(7n);
    clock.advance(5);
    const late = client();
    late.session.renew(7n); // joins what is in the air
    clock.advance(16);
    expect(early.ttls()).toEqual([0]);
    etcd.grant(7n, 30);
    clock.advance(30);
    expect(late.ttls()).toEqual([30]);
  });

  it("a revoke through this replica ends sharing before it is forwarded", () => {
    const { clock, etcd, book, client } = bind(new World());
    const lease = etcd.grant(1n, 60);
    const { session, ttls } = client();
    session.renew(1n);
    clock.advance(10);
    book.forget(1n);
    lease.state = "gone";
    session.renew(1n);
    clock.advance(10);
    expect(ttls()).toEqual([60, 0]);
  });

  it("a renewal that was in the air during a revoke answers nobody who came later", () => {
    const { clock, etcd, book, client } = bind(new World());
    const lease = etcd.grant(1n, 60);
    etcd.latencyMs = 20;
    const { session, ttls } = client();
    session.renew(1n);
    clock.advance(19);
    book.forget(1n);
    session.renew(1n);
    clock.advance(1); // the first answer: it was alive
    lease.state = "gone";
    clock.advance(60);
    expect(ttls()).toEqual([60, 0]);
    session.renew(1n);
    clock.advance(60);
    expect(ttls()).toEqual([60, 0, 0]);
  });
});

describe("rule 12: credentials and leaders", () => {
  it("never merges renewals of different credentials, not even of one lease", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 60);
    for (const credential of ["alice", "bob", undefined]) {
      client({ credential, hasLeader: false }).session.renew(1n);
      clock.advance(10);
    }
    expect(etcd.renewals.map(({ credential }) => credential)).toEqual(["alice", "bob", undefined]);
    expect(etcd.open).toHaveLength(3);
  });

  it("ends the streams that ask for a leader once two members in a row have none, and no others", () => {
    const { clock, etcd, client } = bind(new World());
    const plain = client();
    const strict = client({ credential: undefined, hasLeader: true });
    clock.advance(500);
    expect(strict.failures).toEqual([]);
    const failure = { code: 14, message: "etcdserver: no leader" };
    for (const member of etcd.members) etcd.leaderless.add(member);
    for (const stream of etcd.open) etcd.end(stream, { t: "leaderLost", failure });
    clock.advance(500);
    expect(strict.failures).toEqual([failure]);
    expect(plain.failures).toEqual([]);
  });

  it("goes on where only one member lost its leader", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.grant(1n, 60);
    const { session, failures, ttls } = client({ credential: undefined, hasLeader: true });
    session.renew(1n);
    clock.advance(10);
    etcd.leaderless.add("a");
    const failure = { code: 14, message: "etcdserver: no leader" };
    for (const stream of etcd.open) etcd.end(stream, { t: "leaderLost", failure });
    clock.advance(2_000);
    session.renew(1n);
    clock.advance(100);
    expect(failures).toEqual([]);
    expect(ttls()).toEqual([60, 60]);
  });
});

describe("rule 12: one bad renewal does not hold up the others", () => {
  it("an error ends the stream of the client at its head, and the rest is sent again", () => {
    const { clock, etcd, client } = bind(new World());
    const clients = [1n, 2n, 3n].map((id) => ({ id, ...client() }));
    for (const { id } of clients) etcd.grant(id, 60);
    const denied = { code: 7, message: "etcdserver: permission denied" };
    etcd.refusals.set(1n, denied);
    for (const { id, session } of clients) session.renew(id);
    clock.advance(100);
    expect(clients.map(({ failures }) => failures)).toEqual([[denied], [], []]);
    expect(clients.map(({ ttls }) => ttls())).toEqual([[], [60], [60]]);
  });

  it("a dying lease blocks its stream for a second at most, and none that is known to live", () => {
    const { clock, etcd, client } = bind(new World());
    for (let id = 1n; id <= 10n; id++) etcd.grant(id, 60);
    const living = client();
    for (let id = 1n; id <= 5n; id++) living.session.renew(id);
    clock.advance(5_000);
    etcd.grant(99n, 60).state = "blocked";
    const dying = client();
    dying.session.renew(99n);
    clock.advance(10);
    const strangers = client();
    for (let id = 6n; id <= 10n; id++) strangers.session.renew(id); // never seen: behind the dying one
    for (let id = 1n; id <= 5n; id++) living.session.renew(id);
    clock.advance(50);
    expect(living.answers).toHaveLength(10);
    clock.advance(1_200);
    expect(strangers.answers).toHaveLength(5);
    expect(dying.answers).toHaveLength(0);
  });

  it("a stopped member is left after min(1 s, TTL/6), and its renewals go to another", () => {
    const { clock, etcd, client } = bind(new World());
    const { session, answers, ttls } = client();
    for (let id = 1n; id <= 200n; id++) etcd.grant(id, 3);
    for (let id = 1n; id <= 200n; id++) session.renew(id);
    clock.advance(600);
    expect(answers).toHaveLength(200);
    etcd.stopped.add("a");
    for (let id = 1n; id <= 200n; id++) session.renew(id);
    clock.advance(1_500); // 500 ms until it is noticed, then 200 renewals
    expect(answers).toHaveLength(400);
    expect(Math.min(...ttls())).toBeGreaterThanOrEqual(2);
    expect([...etcd.leases.values()].every(({ state }) => state === "alive")).toBe(true);
  });

  it("sends the most urgent first when more wait than fit", () => {
    const { clock, etcd, client } = bind(
      new World({ maxInAir: 1, maxStreams: { sound: 1, doubtful: 1, total: 4 } }),
    );
    etcd.grant(1n, 60);
    etcd.grant(2n, 10);
    etcd.grant(3n, 30);
    const { session, answers } = client();
    for (const id of [1n, 2n, 3n]) session.renew(id);
    clock.advance(2_000);
    answers.length = 0;
    for (const id of [1n, 2n, 3n]) session.renew(id);
    clock.advance(20);
    expect(answers.map(({ leaseId }) => leaseId)).toEqual([1n, 2n, 3n]); // 1 was sent at once
    clock.advance(2_000);
    answers.length = 0;
    session.renew(3n);
    for (const id of [1n, 2n]) session.renew(id);
    clock.advance(20);
    expect(answers.map(({ leaseId }) => leaseId)).toEqual([3n, 2n, 1n]);
  });

  it("gives up a renewal that nobody answers, with etcd's words", () => {
    const { clock, etcd, client } = bind(new World());
    for (const member of etcd.members) etcd.stopped.add(member);
    const { session, failures } = client();
    session.renew(1n);
    clock.advance(8_000);
    expect(failures).toEqual([{ code: 14, message: "etcdserver: request timed out" }]);
  });

  it("says that there is no endpoint where there is none", () => {
    const { clock, etcd, client } = bind(new World());
    etcd.members = [];
    etcd.leader = "";
    const book = new LeaseBook({ open: () => undefined, clock });
    const failures: RenewalFailure[] = [];
    const session = book.open(anonymous, { onAnswer: () => {}, onFailure: (one) => void failures.push(one) });
    session.renew(1n);
    clock.advance(8_000);
    expect(failures).toEqual([{ code: 14, message: "no etcd endpoint is available" }]);
    expect(client().failures).toEqual([]);
  });
});

describe("rule 12: 20,000 leases of 20 s", () => {
  it("are kept on at most 8 streams while a member stops for 5 s, and none is lost", () => {
    const { clock, etcd, book, client } = bind(new World());
    const leases = 20_000;
    const ttl = 20;
    const everyMs = (ttl * 1000) / 3; // as Go's client renews
    etcd.latencyMs = 1; // one renewal per stream and millisecond: a member that asks the leader over a network
    const sessions = Array.from({ length: 20 }, () => client());
    for (let id = 0; id < leases; id++) etcd.grant(BigInt(id), ttl);
    let next = 0;
    for (let at = 0; at < 40_000; at += 10) {
      if (at === 12_000) etcd.stopped.add("a");
      if (at === 14_000) etcd.leader = "b";
      if (at === 17_000) etcd.resume("a");
      for (; next * everyMs < (at + 10) * leases; next++) {
        const id = next % leases;
        sessions[id % sessions.length]?.session.renew(BigInt(id));
      }
      clock.advance(10);
    }
    clock.advance(100);
    expect(etcd.maxOpen).toBeLessThanOrEqual(8);
    expect([...etcd.leases.values()].filter(({ state }) => state !== "alive")).toEqual([]);
    expect(sessions.flatMap(({ failures }) => failures)).toEqual([]);
    expect(sessions.flatMap(({ answers }) => answers).filter(({ ttlSeconds }) => ttlSeconds < 1)).toEqual([]);
    expect(book.counts().leases).toBe(leases);
  });
});

describe("rule 12: whatever happens", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ t: fc.constant("renew"), id: fc.bigInt(1n, 6n), who: fc.nat(3) }) },
    { weight: 4, arbitrary: fc.record({ t: fc.constant("wait"), ms: fc.integer({ min: 1, max: 700 }) }) },
    { arbitrary: fc.record({ t: fc.constant("freeze"), ms: fc.integer({ min: 1, max: 3_000 }) }), weight: 1 },
    { arbitrary: fc.record({ t: fc.constant("revoke"), id: fc.bigInt(1n, 6n) }), weight: 1 },
    { arbitrary: fc.record({ t: fc.constant("stop"), member: fc.constantFrom("a", "b") }), weight: 1 },
    { arbitrary: fc.record({ t: fc.constant("resume"), member: fc.constantFrom("a", "b") }), weight: 2 },
    { arbitrary: fc.record({ t: fc.constant("cut") }), weight: 1 },
  );

  it("nobody is told more than is left, or 0 of a lease that lives, and everybody is told once", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, etcd, book } = new World();
        for (let id = 1n; id <= 6n; id++) etcd.grant(id, Number(id) + 1);
        let asked = 0;
        let told = 0;
        const sessions = Array.from({ length: 4 }, () =>
          book.open(anonymous, {
            onAnswer: ({ leaseId, ttlSeconds, reply }) => {
              told++;
              const lease = etcd.leases.get(leaseId);
              const leftMs = (lease?.expiresAtMs ?? 0) - clock.nowMs();
              if (ttlSeconds > 0) {
                const isShared = ttlSeconds < reply.ttlSeconds;
                expect(ttlSeconds * 1000).toBeLessThanOrEqual(isShared ? leftMs : leftMs + 1_000);
              } else {
                expect(lease?.state).toBe("gone");
              }
            },
            onFailure: ({ message }) => {
              expect(message).toBe("etcdserver: request timed out");
            },
          }),
        );
        for (const one of steps) {
          if ("who" in one) {
            const session = sessions[one.who];
            if (session?.isOver === false) asked++;
            session?.renew(one.id);
          } else if ("id" in one) {
            book.forget(one.id);
            const lease = etcd.leases.get(one.id);
            if (lease !== undefined) lease.state = "gone";
          } else if ("member" in one) {
            if (one.t === "stop") etcd.stopped.add(one.member);
            else etcd.resume(one.member);
          } else if ("ms" in one) {
            if (one.t === "freeze") clock.freeze(one.ms);
            else clock.advance(one.ms);
          } else {
            const failure = { code: 14, message: "connection lost" };
            for (const stream of etcd.open) etcd.end(stream, { t: "lost", failure });
          }
        }
        etcd.resume("a");
        etcd.resume("b");
        clock.advance(20_000);
        expect(sessions.some(({ isOver }) => isOver) || told === asked).toBe(true);
        for (const session of sessions) if (!session.isOver) expect(session.pending).toBe(0);
        expect(book.counts().pending).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("keeps nothing once its clients are gone", () => {
    const { clock, etcd, book, client } = bind(new World());
    etcd.grant(1n, 20);
    const { session } = client();
    session.renew(1n);
    clock.advance(100);
    session.close();
    clock.advance(11_000);
    expect(book.counts()).toEqual({ leases: 0, pending: 0, streams: 0, scopes: 0 });
    expect(etcd.open).toEqual([]);
  });

  it("ends every session when it is disposed of, twice over", () => {
    const { book, client } = bind(new World());
    const { failures } = client();
    book[Symbol.dispose]();
    book[Symbol.dispose]();
    expect(failures).toMatchObject([{ code: 14 }]);
  });
});

/** The parts of a world, to take apart. */
function bind(world: World): Pick<World, "clock" | "etcd" | "book"> & { client: World["client"] } {
  const { clock, etcd, book } = world;
  return { clock, etcd, book, client: (scope) => world.client(scope) };
}
