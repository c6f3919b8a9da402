import {
  create,
  type HeaderView,
  KeyValueSchema,
  toBinary,
  WatchCreateRequestSchema,
  WatchRequestSchema,
} from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { type KeyRange, toKeyRange, toRangeFields } from "../src/range/key-range.ts";
import { UpstreamPool } from "../src/upstream/upstream-pool.ts";
import { LogBudget } from "../src/watch/log-budget.ts";
import { ProbeError } from "../src/watch/probe-flight.ts";
import { TimeLimit } from "../src/watch/time-limit.ts";
import { createOwnDesk } from "../src/watch/watch-desk.ts";
import { WatchHub } from "../src/watch/watch-hub.ts";
import { type SessionContext, WatchSession } from "../src/watch/watch-session.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import { ModelClient } from "./model-client.ts";
import { ModelConnection } from "./model-connection.ts";
import { type Chance, ModelEtcd, toKeyValue } from "./model-etcd.ts";
import { seeded } from "./seeded.ts";

const keys = ["a", "b", "b\0", "c", "ca", "z"];
const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const ranges: readonly KeyRange[] = [
  ["a", ""],
  ["b", ""],
  ["b", "c"],
  ["a", "d"],
  ["c", "\0"],
  ["\0", "\0"],
  ["q", ""],
].map(([key = "", rangeEnd = ""]) => {
  const range = toKeyRange({ key: bytes(key), rangeEnd: bytes(rangeEnd) });
  if (range === undefined) throw new Error("not a range");
  return range;
});

/** Everything around one hub: the model of etcd behind it, clients in front. */
class World {
  readonly clock = new FakeClock();
  readonly etcd: ModelEtcd;
  readonly hub: WatchHub;
  readonly sessions: { readonly client: ModelClient; readonly session: WatchSession; isOpen: boolean }[] = [];
  readonly #context: SessionContext;
  readonly #chance: Chance;
  hasQuorum = true;
  /** Two that streams may have in common; a third of them has none. */
  readonly connections: readonly ModelConnection[];

  constructor(chance: Chance, version: string) {
    this.#chance = chance;
    this.connections = [1, 2].map((id) => new ModelConnection(id, chance));
    this.etcd = new ModelEtcd(chance, { members: 3, version });
    const source = new UpstreamPool({
      pick: ({ avoid, toward }) => {
        const up = this.etcd.members.filter(({ isDown }) => !isDown).map(({ name }) => name);
        if (toward !== undefined && up.includes(toward)) return toward;
        const wanted = up.filter((name) => name !== avoid);
        return (wanted.length > 0 ? wanted : up)[chance.int(Math.max(1, wanted.length || up.length))];
      },
      open: (member, sink) => this.etcd.openStream(member, sink),
    });
    this.hub = new WatchHub({
      source,
      clock: this.clock,
      budget: new LogBudget({ maxTotalBytes: 6_000, maxLogBytes: 3_000 }),
      sendProbe: async (): Promise<HeaderView> => {
        await settle();
        if (!this.hasQuorum) throw new ProbeError(14, "etcdserver: request timed out");
        return { clusterId: this.etcd.clusterId, memberId: 1n, revision: this.etcd.head, raftTerm: 2n };
      },
      fetchPrevious: async (key, revision) => {
        await settle();
        if (revision < this.etcd.compactRevision) return undefined;
        const before = this.etcd.at(String.fromCharCode(...key), revision);
        return before && toBinary(KeyValueSchema, toKeyValue(before));
      },
      readHeader: () => Promise.reject(new ProbeError(14, "nobody")),
      memberRevision: (member) => Promise.resolve(this.etcd.memberOf(member).applied),
    });
    this.#context = {
      desk: createOwnDesk(this.hub),
      clock: this.clock,
      limits: { perStream: 100, perConnection: 100, total: 1000, pendingPerStream: 100 },
      total: { watches: 0 },
      createLimit: new TimeLimit(this.clock, 5_000),
      fragmentBytes: 1 << 20,
      refusesNegativeStart: () => true,
      counters: { eventsOut: 0, createsRefused: 0 },
    };
  }

  openSession(): void {
    const client = new ModelClient(this.etcd, this.connections[this.#chance.int(3)]);
    const session = new WatchSession(this.#context, client, { watches: 0 });
    this.sessions.push({ client, session, isOpen: true });
  }

  get open() {
    return this.sessions.filter(({ isOpen }) => isOpen);
  }

  async step(): Promise<void> {
    const { etcd } = this;
    const pick = <T>(list: readonly T[]): T | undefined => list[this.#chance.int(Math.max(1, list.length))];
    const stream = pick([...etcd.streams]);
    const one = pick(this.open);
    switch (this.#chance.int(26)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const count = 1 + this.#chance.int(3);
        const touched = [...new Set(Array.from({ length: count }, () => pick(keys) ?? "a"))];
        etcd.commit(
          touched.map((key) => ({
            key,
            isDelete: this.#chance.int(4) === 0,
            value: "v".repeat(1 + this.#chance.int(60)),
          })),
        );
        break;
      }
      case 4:
      case 5: {
        const member = pick(etcd.members);
        if (member !== undefined)
          member.applied += BigInt(this.#chance.int(Number(etcd.head - member.applied) + 1));
        break;
      }
      case 6:
      case 7:
      case 8:
        stream?.sync();
        break;
      case 9:
      case 10:
      case 11:
        stream?.deliver();
        break;
      case 12:
        if (this.#chance.int(6) === 0)
          stream?.break(this.#chance.int(2) === 0 ? "etcdserver: no leader" : "reset");
        break;
      case 13:
        if (this.open.length < 6) this.openSession();
        else if (one !== undefined && this.#chance.int(10) === 0) {
          one.isOpen = false;
          one.session.close();
        }
        break;
      case 14:
      case 15:
        if (one !== undefined) this.createWatch(one);
        break;
      case 16: {
        const id = pick([...(one?.client.watches.keys() ?? [])]);
        if (one !== undefined && id !== undefined && this.#chance.int(4) === 0) {
          one.session.onMessage(
            toBinary(
              WatchRequestSchema,
              create(WatchRequestSchema, { requestUnion: { case: "cancelRequest", value: { watchId: id } } }),
            ),
          );
        }
        break;
      }
      case 17:
        one?.session.onMessage(
          toBinary(
            WatchRequestSchema,
            create(WatchRequestSchema, { requestUnion: { case: "progressRequest", value: {} } }),
          ),
        );
        break;
      case 18:
        if (one !== undefined) {
          one.client.isReading = !one.client.isReading;
          if (one.client.isReading) one.session.onDrain();
        }
        break;
      case 19:
        await this.clock.advance(this.#chance.int(1500));
        break;
      case 20:
        if (this.#chance.int(5) === 0) {
          const span = Number(etcd.head - etcd.compactRevision);
          etcd.compactRevision += BigInt(this.#chance.int(Math.max(1, span)));
        } else if (this.#chance.int(8) === 0) stream?.claimCompacted();
        break;
      case 21:
        if (this.#chance.int(4) === 0) stream?.notifyProgress();
        for (const { session } of this.open)
          if (this.#chance.int(4) === 0) session.notifyProgress(() => true);
        if (this.#chance.int(10) === 0) this.hasQuorum = !this.hasQuorum;
        break;
      case 22: {
        const feed = pick([...this.hub.feeds()]);
        const toward = pick(etcd.members)?.name ?? "";
        if (this.#chance.int(4) === 0) feed?.abandonMove();
        else feed?.replace({ toward });
        break;
      }
      case 23:
      case 24:
      case 25:
        pick(this.connections)?.turn(this.#chance.int(4));
        break;
    }
    if (this.#chance.int(3) === 0) await settle();
  }

  createWatch({ client, session }: { client: ModelClient; session: WatchSession }): void {
    const range = ranges[this.#chance.int(ranges.length)] as KeyRange;
    const kind = this.#chance.int(4);
    const head = Number(this.etcd.head);
    const start = kind < 2 ? 0 : kind === 2 ? 1 + this.#chance.int(head) : head + 1 + this.#chance.int(5);
    const prevKv = this.#chance.int(3) === 0;
    const filters = ([0, 1] as const).filter(() => this.#chance.int(6) === 0);
    client.asks({
      range,
      start: BigInt(start),
      prevKv,
      noPut: filters.includes(0),
      noDelete: filters.includes(1),
      headWhenAsked: this.etcd.head,
    });
    const value = create(WatchCreateRequestSchema, {
      ...toRangeFields(range),
      startRevision: BigInt(start),
      prevKv,
      filters,
      progressNotify: this.#chance.int(2) === 0,
    });
    session.onMessage(
      toBinary(
        WatchRequestSchema,
        create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } }),
      ),
    );
  }

  /** Everything works from now on; runs until all that can arrive has arrived. */
  async heal(): Promise<void> {
    this.hasQuorum = true;
    for (const { client, session } of this.open) {
      client.isReading = true;
      session.onDrain();
    }
    for (let round = 0; round < 60; round++) {
      for (const member of this.etcd.members) member.applied = this.etcd.head;
      for (let i = 0; i < 40; i++) {
        for (const stream of [...this.etcd.streams]) {
          while (!stream.isQuiet && this.etcd.streams.has(stream)) {
            stream.sync();
            stream.deliver();
          }
        }
        for (const connection of this.connections) while (!connection.isQuiet) connection.turn(100);
        await settle();
      }
      await this.clock.advance(1_000);
    }
  }

  /** Every live watch has everything; every watch that ended had a reason. */
  check(): void {
    for (const { client } of this.open) {
      expect(client.waiting, "creates without an answer").toBe(0);
      for (const watch of client.watches.values()) {
        const got = watch.events.map(({ kv }) => kv?.modRevision);
        expect(got).toEqual(client.expected(watch).map(({ revision }) => revision));
      }
    }
  }
}

/** One run, from a seed that finds it again. */
async function run(seed: number, steps: number, version: string): Promise<World> {
  const world = new World(seeded(seed), version);
  world.openSession();
  try {
    for (let i = 0; i < steps; i++) await world.step();
    await world.heal();
    world.check();
  } catch (error) {
    throw new Error(`seed ${seed}, etcd ${version}`, { cause: error });
  } finally {
    for (const { session } of world.sessions) session.close();
    world.hub.close();
  }
  return world;
}

const runs = Number(process.env["WATCH_MODEL_RUNS"] ?? 60);
const firstSeed = Number(process.env["WATCH_MODEL_SEED"] ?? 1);

describe("watches against a model of etcd's history", () => {
  it.each(["3.4.23", "3.5.30"])(
    "loses, repeats and reorders nothing before %s, whatever happens",
    async (version) => {
      let events = 0;
      for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
        const world = await run(seed, 400, version);
        for (const { client } of world.sessions) {
          for (const watch of [...client.watches.values(), ...client.over]) events += watch.events.length;
        }
      }
      expect(events, "events that were checked").toBeGreaterThan(runs);
    },
  );
});
