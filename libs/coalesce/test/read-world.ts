import {
  create,
  encodeHeader,
  fromBinary,
  type HeaderView,
  type KeyValue,
  type MessageInitShape,
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
  RangeResponseSchema,
  ResponseHeaderSchema,
  TxnRequestSchema,
  TxnResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import type { CacheLimits } from "../src/cache/cache-limits.ts";
import type { CacheScope } from "../src/cache/cached-read.ts";
import { createRangePlan, type RangePlan } from "../src/cache/range-plan.ts";
import { ReadCache } from "../src/cache/read-cache.ts";
import type { RemoteAnswers } from "../src/cache/remote-answers.ts";
import { hasKey, toKeyRange } from "../src/range/key-range.ts";
import type { ReadResult, UpstreamEnd, UpstreamRead } from "../src/read/ports.ts";
import { ReadHub } from "../src/read/read-hub.ts";
import { UpstreamPool } from "../src/upstream/upstream-pool.ts";
import { LogBudget } from "../src/watch/log-budget.ts";
import { ProbeError } from "../src/watch/probe-flight.ts";
import { WatchHub } from "../src/watch/watch-hub.ts";
import { FakeClock } from "./fake-clock.ts";
import { type Chance, ModelEtcd, type ModelMember, toKeyValue } from "./model-etcd.ts";
import { bytes } from "./scripted-hub.ts";

type Query = MessageInitShape<typeof RangeRequestSchema>;

/** A request that is in the air at a member. */
export interface Flying {
  readonly member: ModelMember;
  readonly read: UpstreamRead;
  readonly end: (end: UpstreamEnd) => void;
}

/** What one caller asked and saw. */
export interface Reading {
  readonly query: RangeRequest;
  readonly startedAt: number;
  /** Of the store, when it was asked. */
  readonly headBefore: bigint;
  readonly compactBefore: bigint;
  readonly floor: bigint;
  result: ReadResult | undefined;
  /** It was answered on the spot. */
  isNow: boolean;
  hasLeft: boolean;
  leave: () => void;
}

const denied = { code: 7, message: "etcdserver: permission denied" };
const compacted = { code: 11, message: "etcdserver: mvcc: required revision has been compacted" };
const future = { code: 11, message: "etcdserver: mvcc: required revision is a future revision" };

/** A cache in front of a model of etcd that answers when it is told to. */
export class ReadWorld {
  readonly clock: FakeClock = new FakeClock();
  readonly etcd: ModelEtcd;
  readonly cache: ReadCache;
  readonly hub: WatchHub;
  readonly scope: CacheScope;
  readonly readings: Reading[] = [];
  air: Flying[] = [];
  hasQuorum = true;
  isPermitted = true;
  /** Of the clock, since when it is not. */
  deniedAt: number | undefined = undefined;
  hubsOpen = 0;
  readonly #turn: Chance;
  readonly #plans = new Map<string, RangePlan>();

  constructor(
    chance: Chance,
    options: {
      version?: string;
      limits?: Partial<CacheLimits>;
      logBytes?: number;
      remote?: RemoteAnswers;
      credential?: string;
    } = {},
  ) {
    this.#turn = chance;
    const { version = "3.5.30", logBytes = 1 << 20, credential = "token" } = options;
    this.etcd = new ModelEtcd(chance, { members: 2, version });
    const pick = (): string | undefined => this.etcd.members[chance.int(this.etcd.members.length)]?.name;
    this.hub = new WatchHub({
      source: new UpstreamPool({
        pick: ({ avoid, toward }) =>
          toward ?? this.etcd.members.find(({ name }) => name !== avoid)?.name ?? pick(),
        open: (member, sink) => this.etcd.openStream(member, sink),
      }),
      clock: this.clock,
      budget: new LogBudget({ maxTotalBytes: logBytes, maxLogBytes: logBytes }),
      sendProbe: () => this.#probe(),
      fetchPrevious: () => Promise.resolve(undefined),
      readHeader: () => Promise.resolve(this.#header(this.etcd.head)),
      memberRevision: (member) => Promise.resolve(this.etcd.memberOf(member).applied),
    });
    const reads = new ReadHub<ModelMember>({
      clock: this.clock,
      defer: queueMicrotask,
      members: {
        pick: (excluded) => {
          const free = this.etcd.members.filter((member) => !excluded.has(member));
          return free[this.#turn.int(Math.max(1, free.length))];
        },
        takesTxn: () => true,
        send: (member, read, onEnd) => {
          const flying: Flying = { member, read, end: onEnd };
          this.air.push(flying);
          return () => {
            this.air = this.air.filter((one) => one !== flying);
          };
        },
      },
    });
    this.cache = new ReadCache({
      reads,
      clock: this.clock,
      toRequest: (request) => request,
      remote: options.remote,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    this.scope = {
      id: credential,
      read: { credential: credential === "" ? undefined : credential, hasLeader: false },
      openHub: () => {
        this.hubsOpen++;
        return { hub: this.hub, own: this.hub, release: () => void this.hubsOpen-- };
      },
    };
  }

  #probe(): Promise<HeaderView> {
    if (!this.hasQuorum) return Promise.reject(new ProbeError(14, "etcdserver: request timed out"));
    if (!this.isPermitted) return Promise.reject(new ProbeError(denied.code, denied.message));
    return Promise.resolve(this.#header(this.etcd.head));
  }

  #header(revision: bigint): HeaderView {
    return { clusterId: this.etcd.clusterId, memberId: 9n, revision, raftTerm: 2n };
  }

  set permission(isPermitted: boolean) {
    this.isPermitted = isPermitted;
    this.deniedAt = isPermitted ? undefined : this.clock.nowMs();
  }

  put(key: string, value = `v${this.etcd.head + 1n}`): void {
    this.etcd.commit([{ key, isDelete: false, value }]);
  }

  delete(key: string): void {
    this.etcd.commit([{ key, isDelete: true, value: "" }]);
  }

  read(fields: Query, floor = 0n): Reading {
    const query = create(RangeRequestSchema, fields);
    const payload = toBinary(RangeRequestSchema, query);
    const key = String.fromCharCode(...payload);
    const plan = this.#plans.get(key) ?? createRangePlan(payload, payload);
    if (plan === undefined) throw new Error("no plan");
    this.#plans.set(key, plan);
    const reading: Reading = {
      query,
      startedAt: this.clock.nowMs(),
      headBefore: this.etcd.head,
      compactBefore: this.etcd.compactRevision,
      floor,
      result: undefined,
      isNow: false,
      hasLeft: false,
      leave: () => {},
    };
    this.readings.push(reading);
    const now = this.cache.answerNow(plan, this.scope, floor);
    if (now !== undefined) {
      reading.result = now;
      reading.isNow = true;
      return reading;
    }
    reading.leave = this.cache.read({
      plan,
      scope: this.scope,
      floor,
      deadlineMs: undefined,
      settle: (result) => {
        if (reading.result !== undefined || reading.hasLeft)
          throw new Error("settled twice, or after leaving");
        reading.result = result;
      },
    });
    return reading;
  }

  /** As etcd answers, with what it knows now: of the leader for a quorum, of the member's own for the rest. */
  land(flying: Flying): void {
    this.air = this.air.filter((one) => one !== flying);
    const { kind, request } = flying.read;
    if (!this.isPermitted) {
      flying.end({ t: "refused", failure: denied });
      return;
    }
    const ranges =
      kind === "range"
        ? [fromBinary(RangeRequestSchema, request)]
        : fromBinary(TxnRequestSchema, request).success.map(({ request: op }) => op.value as RangeRequest);
    const isLocal = ranges.every(({ serializable }) => serializable);
    if (!isLocal && !this.hasQuorum) {
      flying.end({ t: "refused", failure: { code: 14, message: "etcdserver: request timed out" } });
      return;
    }
    if (!isLocal) flying.member.applied = this.etcd.head; // a quorum read waits until its member is that far
    const head = flying.member.applied;
    const bad = ranges.map((range) => this.#refusal(range, head)).find((one) => one !== undefined);
    if (bad !== undefined) {
      flying.end({ t: "refused", failure: bad });
      return;
    }
    const header = this.#header(head);
    const [first] = ranges;
    if (kind === "range" && first !== undefined) {
      const body = this.naive(first, first.revision > 0n ? first.revision : head);
      flying.end({ t: "answered", payload: Buffer.concat([encodeHeader(header), body]) });
      return;
    }
    const responses = ranges.map((range) => {
      const value = fromBinary(RangeResponseSchema, this.naive(range, head));
      return {
        response: {
          case: "responseRange" as const,
          value: { ...value, header: create(ResponseHeaderSchema, { revision: head }) },
        },
      };
    });
    const payload = toBinary(
      TxnResponseSchema,
      create(TxnResponseSchema, { header, succeeded: true, responses }),
    );
    flying.end({ t: "answered", payload });
  }

  /** Everything in the air lands, and what that brings into the air. */
  async landAll(): Promise<void> {
    await this.settle();
    for (let i = 0; i < 1_000 && this.air.length > 0; i++) {
      const [flying] = this.air;
      if (flying !== undefined) this.land(flying);
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Members apply all there is and streams say it. */
  async sync(): Promise<void> {
    for (const member of this.etcd.members) member.applied = this.etcd.head;
    for (let i = 0; i < 100; i++) {
      for (const stream of this.etcd.streams) {
        stream.sync();
        stream.deliver();
      }
      await this.settle();
      if ([...this.etcd.streams].every((stream) => stream.isQuiet)) break;
    }
  }

  /** Reads until the range is held here. */
  async heat(fields: Query): Promise<void> {
    for (let i = 0; i < 60 && ![...this.cache.held.all()].some(({ phase }) => phase === "ready"); i++) {
      this.read(fields);
      await this.landAll();
      await this.sync();
    }
    if (![...this.cache.held.all()].some(({ phase }) => phase === "ready")) throw new Error("not held");
    this.readings.length = 0;
  }

  #refusal({ revision }: RangeRequest, head: bigint): typeof future | undefined {
    if (revision > head) return future;
    return revision > 0n && revision < this.etcd.compactRevision ? compacted : undefined;
  }

  /** What etcd answers at a revision, without the header: as plainly as it can be said. */
  naive(query: RangeRequest, revision: bigint): Uint8Array {
    const range = toKeyRange(query);
    const names = [...new Set(this.etcd.history.map(({ key }) => key))].sort();
    const all: KeyValue[] = [];
    for (const name of names) {
      const change = this.etcd.at(name, revision);
      if (range !== undefined && hasKey(range, bytes(name)) && change !== undefined)
        all.push(toKeyValue(change));
    }
    const count = BigInt(all.length);
    if (query.countOnly) return toBinary(RangeResponseSchema, create(RangeResponseSchema, { count }));
    let kvs = all.filter(
      (kv) =>
        (query.minModRevision === 0n || kv.modRevision >= query.minModRevision) &&
        (query.maxModRevision === 0n || kv.modRevision <= query.maxModRevision) &&
        (query.minCreateRevision === 0n || kv.createRevision >= query.minCreateRevision) &&
        (query.maxCreateRevision === 0n || kv.createRevision <= query.maxCreateRevision),
    );
    if (query.sortTarget === RangeRequest_SortTarget.MOD)
      kvs = kvs.sort((a, b) => Number(a.modRevision - b.modRevision));
    if (query.sortOrder === RangeRequest_SortOrder.DESCEND) kvs = kvs.reverse();
    const more = query.limit > 0n && BigInt(kvs.length) > query.limit;
    if (more) kvs = kvs.slice(0, Number(query.limit));
    if (query.keysOnly) for (const kv of kvs) kv.value = new Uint8Array(0);
    return toBinary(RangeResponseSchema, create(RangeResponseSchema, { kvs, more, count }));
  }
}
