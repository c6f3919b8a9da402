import {
  create,
  type HeaderView,
  KeyValueSchema,
  toBinary,
  WatchCreateRequestSchema,
  WatchRequestSchema,
} from "@etcd-edge/proto";
import { Epochs } from "../src/epoch/epochs.ts";
import { FabricReplica } from "../src/fabric/fabric-replica.ts";
import type { FeedFabric } from "../src/fabric/feed-fabric.ts";
import { type KeyRange, toRangeFields } from "../src/range/key-range.ts";
import { UpstreamPool } from "../src/upstream/upstream-pool.ts";
import { LogBudget } from "../src/watch/log-budget.ts";
import { ProbeError } from "../src/watch/probe-flight.ts";
import type { FeedSharing } from "../src/watch/sharing.ts";
import { TimeLimit } from "../src/watch/time-limit.ts";
import { createOwnDesk } from "../src/watch/watch-desk.ts";
import { WatchHub } from "../src/watch/watch-hub.ts";
import { type SessionContext, WatchSession } from "../src/watch/watch-session.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import { ModelClient } from "./model-client.ts";
import { type Chance, type ModelEtcd, type ModelStream, toKeyValue } from "./model-etcd.ts";
import type { ScriptedBus, ScriptedBusEnd } from "./scripted-bus.ts";

/** Not cryptographic: nobody tries here. */
export function digest(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x1000193;
  for (const letter of text) {
    a = Math.imul(a ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    b = Math.imul(b + (letter.codePointAt(0) ?? 0), 0x85ebca6b) >>> 0;
  }
  return a.toString(16).padStart(8, "0") + b.toString(16).padStart(8, "0");
}

export interface ModelSession {
  readonly client: ModelClient;
  readonly session: WatchSession;
  isOpen: boolean;
}

/** One replica: a hub, its place in the fabric, and its clients; in front of an etcd that all replicas have in common. */
export class ModelReplica {
  readonly name: string;
  readonly clock: FakeClock = new FakeClock();
  readonly end: ScriptedBusEnd;
  readonly epochs: Epochs;
  readonly fabric: FabricReplica;
  readonly hub: WatchHub;
  readonly sessions: ModelSession[] = [];
  readonly etcd: ModelEtcd;
  /** Calls of this replica at etcd. */
  readonly streams: Set<ModelStream> = new Set();
  sharing: FeedFabric | undefined;
  hasQuorum = true;
  isAlive = true;
  isPaused = false;
  readonly #context: SessionContext;

  constructor(
    name: string,
    world: { chance: Chance; etcd: ModelEtcd; bus: ScriptedBus; maxPayloadBytes?: number },
  ) {
    const { chance, etcd, bus } = world;
    this.name = name;
    this.etcd = etcd;
    this.end = bus.open(world.maxPayloadBytes);
    let ids = 0;
    this.epochs = new Epochs(() => `${name}-${ids++}`);
    this.fabric = new FabricReplica({
      id: name,
      bus: this.end,
      clock: this.clock,
      digest,
      epochs: this.epochs,
      describe: () => ({
        ...{ name, tier: "model", version: "0", uptimeSeconds: 0 },
        // Asked for before there is a hub, too.
        compactRevision: (this.hub as WatchHub | undefined)?.compactRevision ?? 0n,
        stats: new Map([["watches", this.sessions.length]]),
      }),
    });
    const source = new UpstreamPool({
      pick: ({ avoid, toward }) => {
        const up = etcd.members.filter(({ isDown }) => !isDown).map((member) => member.name);
        if (toward !== undefined && up.includes(toward)) return toward;
        const wanted = up.filter((member) => member !== avoid);
        return (wanted.length > 0 ? wanted : up)[chance.int(Math.max(1, wanted.length || up.length))];
      },
      open: (member, sink) => {
        const stream = etcd.openStream(member, sink);
        this.streams.add(stream as ModelStream);
        return stream;
      },
    });
    this.hub = new WatchHub({
      source,
      clock: this.clock,
      budget: new LogBudget({ maxTotalBytes: 6_000, maxLogBytes: 3_000 }),
      sendProbe: async (): Promise<HeaderView> => {
        await settle();
        if (!this.hasQuorum || !this.isAlive) throw new ProbeError(14, "etcdserver: request timed out");
        return { clusterId: etcd.clusterId, memberId: 1n, revision: etcd.head, raftTerm: etcd.raftTerm };
      },
      fetchPrevious: async (key, revision) => {
        await settle();
        if (revision < etcd.compactRevision) return undefined;
        const before = etcd.at(String.fromCharCode(...key), revision);
        return before && toBinary(KeyValueSchema, toKeyValue(before));
      },
      readHeader: () => Promise.reject(new ProbeError(14, "nobody")),
      memberRevision: async (member) => etcd.memberOf(member).applied,
      epochs: this.epochs,
      createSharing: (hub): FeedSharing => {
        this.sharing = this.fabric.share("scope", hub);
        return this.sharing;
      },
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

  get open(): readonly ModelSession[] {
    return this.sessions.filter(({ isOpen }) => isOpen);
  }

  openSession(): ModelSession {
    const client = new ModelClient(this.etcd, undefined);
    const one = { client, session: new WatchSession(this.#context, client, { watches: 0 }), isOpen: true };
    this.sessions.push(one);
    return one;
  }

  /** The process stands still, and goes on later as if nothing had been. */
  pause(isPaused: boolean): void {
    this.isPaused = isPaused;
    this.end.isPaused = isPaused;
  }

  /** The process is gone, without a word. */
  kill(): void {
    this.isAlive = false;
    this.end.kill();
    for (const one of this.open) {
      one.isOpen = false;
      one.session.close();
    }
    this.hub.close();
    this.fabric.close();
    for (const stream of this.streams) stream.cancel();
  }

  /** Lets everything happen that can, without time passing. */
  async flow(bus: ScriptedBus, rounds = 20): Promise<void> {
    for (let i = 0; i < rounds; i++) {
      for (const end of bus.ends) end.serve();
      bus.deliver(1_000);
      for (const stream of [...this.etcd.streams]) {
        while (!stream.isQuiet && this.etcd.streams.has(stream)) {
          stream.sync();
          stream.deliver();
        }
      }
      await settle();
    }
  }
}

/** Asks for a watch, and tells the client what it must get. */
export function createWatch(
  { client, session }: ModelSession,
  etcd: ModelEtcd,
  ask: {
    readonly range: KeyRange;
    readonly start: bigint;
    readonly prevKv?: boolean;
    readonly noPut?: boolean;
    readonly noDelete?: boolean;
  },
): void {
  const { range, start, prevKv = false, noPut = false, noDelete = false } = ask;
  client.asks({ range, start, prevKv, noPut, noDelete, headWhenAsked: etcd.head });
  const value = create(WatchCreateRequestSchema, {
    ...toRangeFields(range),
    startRevision: start,
    prevKv,
    filters: ([0, 1] as const).filter((filter) => (filter === 0 ? noPut : noDelete)),
  });
  const request = create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } });
  session.onMessage(toBinary(WatchRequestSchema, request));
}

export function askProgress({ session }: ModelSession): void {
  const request = create(WatchRequestSchema, { requestUnion: { case: "progressRequest", value: {} } });
  session.onMessage(toBinary(WatchRequestSchema, request));
}
