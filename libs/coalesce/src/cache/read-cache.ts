import {
  bodyOfRange,
  create,
  encodeHeader,
  type HeaderView,
  RangeRequestSchema,
  readRangeShape,
  readResponseHeader,
  toBinary,
} from "@etcd-edge/proto";
import type { Clock } from "../ports.ts";
import { rangeId, toRangeFields } from "../range/key-range.ts";
import type { LocalRead } from "../read/local-read.ts";
import type { ReadFailure, ReadResult, ReadScope, Reads } from "../read/ports.ts";
import { BoundedMap } from "./bounded-map.ts";
import { type CacheLimits, defaultCacheLimits } from "./cache-limits.ts";
import { CompactionFloor } from "./compaction-floor.ts";
import { Fetch } from "./fetch.ts";
import type { HeldRange } from "./held-range.ts";
import { HeldRanges, type HeldScope, type OpenHub } from "./held-ranges.ts";
import { loadSnapshot } from "./load-snapshot.ts";
import type { RangePlan } from "./range-plan.ts";
import type { RemoteAnswers } from "./remote-answers.ts";

/** Whose answers may be shared. */
export interface CacheScope {
  /** Equal for those who may see the same keys. */
  readonly id: string;
  /** What etcd is shown. */
  readonly read: ReadScope;
  /** Whether ranges are held for it now: not where they are for all who may read them (rule 28). Always if it is left out. */
  readonly mayHold?: () => boolean;
  /** The feeds of the scope, for as long as they are not released. */
  openHub(): OpenHub;
}

/** One caller's read. */
export interface CachedRead {
  readonly plan: RangePlan;
  readonly scope: CacheScope;
  /** The highest revision that this client has been shown: less is the past to it (rule 29). */
  readonly floor: bigint;
  /** Of `Clock.nowMs`; the caller watches over it by itself, and leaves. */
  readonly deadlineMs: number | undefined;
  /** Who asks, where clients take turns: compared by identity. */
  readonly client?: unknown;
  /** Not called from inside `ReadCache.read`, nor after leaving. */
  settle(result: ReadResult): void;
}

/** What a cache is made of. */
export interface ReadCacheOptions {
  readonly reads: Reads;
  readonly clock: Clock;
  /** Makes of a RangeRequest as clients send it one as etcd gets it. */
  readonly toRequest: (request: Uint8Array) => Uint8Array;
  readonly remote?: RemoteAnswers | undefined;
  readonly limits?: Partial<CacheLimits>;
}

/** Reads by where their answers came from; those that are in none of them were asked of etcd. */
export interface CacheCounts {
  /** Without a quorum, from a range that is held. */
  held: number;
  /** At a fixed revision, from answers that were kept. */
  kept: number;
  /** From an answer of `--cache-max-age`. */
  aged: number;
  /** At a fixed revision, together with an equal one that was on its way. */
  joined: number;
  /** Answers that came from the shared store. */
  stored: number;
  /** Reads that need no quorum and were asked of etcd nevertheless. */
  missed: number;
  /** Of those, because what is known is older than what the client has seen. */
  belowFloor: number;
  /** At a revision that is compacted. */
  compacted: number;
}

interface Aged {
  readonly result: ReadResult & { readonly t: "answered" };
  readonly until: number;
}

/** An answer that holds for one revision, whatever happens later; it never changes. */
interface Kept {
  readonly body: Uint8Array;
  /** When etcd last said to this scope that it may be read, and that the revision is not compacted. */
  vouchedAt: number;
}

const unavailable = 14;
/** Answers up to this are kept with the plan of their request. */
const maxPlanBytes = 4 * 1024;
const nothing = new Uint8Array(0);

/**
 * Answers reads from what is known here. Nothing in it is ever invalidated: a range that is held is proven by its feed up to the
 * revision that its answers show (rule 6), and what is kept at a revision is true of that revision for ever.
 *
 *     serializable, the present:  held range, else an answer of --cache-max-age, else etcd; never below what the client has seen
 *     linearizable, the present:  a held range once a quorum has said how far the store is, else a read shared with others
 *     at a revision:              held or kept, with etcd's word that it may be read and is not compacted; else read once
 */
export class ReadCache implements Disposable {
  readonly counts: CacheCounts = {
    held: 0,
    kept: 0,
    aged: 0,
    joined: 0,
    stored: 0,
    missed: 0,
    belowFloor: 0,
    compacted: 0,
  };
  readonly held: HeldRanges;
  readonly floor: CompactionFloor = new CompactionFloor();
  readonly #options: ReadCacheOptions;
  readonly #limits: CacheLimits;
  readonly #kept: BoundedMap<Kept>;
  readonly #aged: BoundedMap<Aged>;
  /** Large answers from held ranges, while nothing changes in those. */
  readonly #large: BoundedMap<{
    readonly of: HeldRange;
    readonly version: number;
    readonly body: Uint8Array;
  }>;
  readonly #fetches = new Map<string, Fetch>();
  /** What etcd said before this of permissions does not count. */
  #vouchedFrom = Number.NEGATIVE_INFINITY;
  readonly #heldScopes = new WeakMap<CacheScope, HeldScope>();
  /** The last header that etcd has sent. */
  #lastHeader: HeaderView = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };

  constructor(options: ReadCacheOptions) {
    this.#options = options;
    this.#limits = { ...defaultCacheLimits, ...options.limits };
    this.held = new HeldRanges(options.clock, this.#limits);
    this.#large = new BoundedMap(options.clock, this.#limits.heldBytes / 4);
    this.#kept = new BoundedMap(options.clock, this.#limits.answerBytes);
    this.#aged = new BoundedMap(options.clock, this.#limits.maxAgeMs > 0 ? this.#limits.answerBytes / 4 : 0);
  }

  /** Answers that are kept, and their bytes. */
  get size(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#kept.size + this.#aged.size, bytes: this.#kept.bytes + this.#aged.bytes };
  }

  /** An answer that can be given at once, if there is one. */
  answerNow(plan: RangePlan, scope: CacheScope, floor: bigint): ReadResult | undefined {
    const { revision, isSerializable } = plan.query;
    if (!isSerializable || scope.read.hasLeader) return undefined; // who wants to know of a leader asks a member
    if (revision > 0n) return this.#fixedNow(plan, scope, floor);
    const held = this.held.find(scope.id, plan);
    if (held?.isServing === true && held.revision >= floor) {
      this.counts.held++;
      return { t: "answered", head: held.head(), body: this.#bodyOf(held, plan), revision: held.revision };
    }
    return this.#agedNow(plan, scope, floor);
  }

  /**
   * Takes a read that `answerNow` had no answer for.
   * @returns how to leave
   */
  read(read: CachedRead): () => void {
    const { plan, scope } = read;
    this.note(plan, scope);
    if (plan.query.revision > 0n) return this.#readFixed(read);
    const held = this.held.find(scope.id, plan);
    const local = held === undefined ? undefined : this.#toLocal(held, plan);
    if (!plan.query.isSerializable) return this.#readNow(read, local);
    if (scope.read.hasLeader) return this.#readAsked(read);
    this.counts.missed++;
    const isBelow = held?.isServing === true || this.#agedOf(plan, scope) !== undefined;
    return isBelow ? this.#readAbove(read, local) : this.#readAsked(read);
  }

  /** Whether a range that has all keys of the plan can answer it now. */
  isHeld(plan: RangePlan, scope: CacheScope): boolean {
    const held = this.held.find(scope.id, plan);
    return held !== undefined && (plan.query.isSerializable ? held.isServing : held.isUsable);
  }

  /** A read goes another way: it counts for what is hot all the same. */
  note(plan: RangePlan, scope: CacheScope): void {
    if (scope.mayHold?.() !== false) this.held.note(this.#heldScope(scope), plan);
  }

  /** Permissions may have changed: nothing is answered before etcd has said again that it may be read. */
  forgetPermissions(): void {
    this.#vouchedFrom = this.#options.clock.nowMs();
    this.#aged.clear();
    this.held.forgetPermissions();
  }

  /** History is another one: nothing of what is kept counts any more (rule 3). */
  forget(): void {
    this.#kept.clear();
    this.#aged.clear();
    this.floor.forget();
  }

  [Symbol.dispose](): void {
    this.held[Symbol.dispose]();
  }

  // ---- the present ----

  #readNow(
    { plan, scope, deadlineMs, client, settle }: CachedRead,
    local: LocalRead | undefined,
  ): () => void {
    return this.#options.reads.read(scope.read, plan.shape, {
      request: plan.quorumRequest,
      key: plan.quorumKey,
      deadlineMs,
      client,
      local,
      settle: (result) => {
        this.#keep(plan, scope, result);
        settle(result);
      },
    });
  }

  /** What is here is older than what the client has seen: asked of a quorum; as it was asked, where there is none (rule 29). */
  #readAbove(read: CachedRead, local: LocalRead | undefined): () => void {
    this.counts.belowFloor++;
    let leave = this.#readNow(
      {
        ...read,
        settle: (result) => {
          if (result.t === "failed" && result.failure.code === unavailable)
            leave = this.#readAsked({ ...read, floor: 0n });
          else read.settle(result);
        },
      },
      local,
    );
    return () => leave();
  }

  /**
   * As it was asked: any member will do. One that is behind what the client has seen will not, unless there is no quorum to say
   * more (rule 29).
   */
  #readAsked(read: CachedRead): () => void {
    const { plan, scope, floor, deadlineMs, client, settle } = read;
    let leave = this.#options.reads.read(scope.read, alone(plan), {
      request: plan.request,
      deadlineMs,
      client,
      settle: (result) => {
        this.#keep(plan, scope, result);
        if (result.t !== "answered" || result.revision >= floor) settle(result);
        else leave = this.#readNewer(read, result);
      },
    });
    return () => leave();
  }

  #readNewer(read: CachedRead, old: ReadResult): () => void {
    this.counts.belowFloor++;
    const settle = (result: ReadResult): void => {
      const hasNoQuorum = result.t === "failed" && result.failure.code === unavailable;
      read.settle(hasNoQuorum ? old : result);
    };
    return this.#readNow({ ...read, settle }, undefined);
  }

  #toLocal(held: HeldRange, plan: RangePlan): LocalRead {
    return { source: held, body: () => this.#bodyOf(held, plan) };
  }

  /** The answer from a held range; made once for as long as nothing changes. */
  #bodyOf(held: HeldRange, plan: RangePlan): Uint8Array {
    const { range, query } = plan;
    const { version } = held;
    held.touch();
    if (plan.bodyOf === held && plan.bodyVersion === version) return plan.body;
    if (range === undefined) throw new TypeError("a plan without keys is not held");
    const large = plan.isLarge ? this.#large.get(largeKey(held, plan)) : undefined;
    if (large?.of === held && large.version === version) return large.body;
    const body = held.body(query, range);
    plan.isLarge = body.length > maxPlanBytes;
    if (plan.isLarge) {
      this.#large.set(largeKey(held, plan), { of: held, version, body }, body.length, this.#limits.idleMs);
      plan.bodyOf = undefined;
    } else {
      plan.body = body;
      plan.bodyOf = held;
      plan.bodyVersion = version;
    }
    return body;
  }

  #keep(plan: RangePlan, scope: CacheScope, result: ReadResult): void {
    if (result.t !== "answered") return;
    const { maxAgeMs, recheckMs } = this.#limits;
    const { body } = result;
    if (maxAgeMs > 0) {
      const age = Math.min(maxAgeMs, recheckMs);
      const until = this.#options.clock.nowMs() + age;
      this.#aged.set(`${scope.id}/${plan.timeless}`, { result: owned(result), until }, body.length, age);
    }
    // A page of a list: others that read it at this revision need not.
    if (result.isLocal !== true && plan.range?.t !== "point" && plan.query.limit > 0n)
      this.#keepAt(plan, scope, result.revision, result);
  }

  #agedOf(plan: RangePlan, scope: CacheScope): Aged | undefined {
    if (this.#limits.maxAgeMs === 0) return undefined;
    return this.#aged.get(`${scope.id}/${plan.timeless}`);
  }

  #agedNow(plan: RangePlan, scope: CacheScope, floor: bigint): ReadResult | undefined {
    const aged = this.#agedOf(plan, scope);
    if (aged === undefined || aged.result.revision < floor) return undefined;
    this.counts.aged++;
    this.note(plan, scope);
    return aged.result;
  }

  // ---- at a revision ----

  #fixedNow(plan: RangePlan, scope: CacheScope, floor: bigint): ReadResult | undefined {
    const { revision } = plan.query;
    if (this.floor.isBelow(revision)) {
      this.counts.compacted++;
      return { t: "failed", failure: this.floor.failure };
    }
    const kept = this.#kept.get(keyAt(plan, scope, revision));
    const since = Math.max(this.#options.clock.nowMs() - this.#limits.recheckMs, this.#vouchedFrom);
    if (kept === undefined || kept.vouchedAt < since) return undefined;
    this.counts.kept++;
    return this.#withHeader(kept.body, revision > floor ? revision : floor);
  }

  #readFixed(read: CachedRead): () => void {
    const { plan, scope } = read;
    const { revision, isSerializable } = plan.query;
    const key = keyAt(plan, scope, revision);
    const body = this.#bodyAt(plan, scope, revision);
    if (body !== undefined) return this.#vouch(read, body);
    const standing = this.#fetches.get(`${scope.read.hasLeader}${key}`);
    if (standing !== undefined) {
      this.counts.joined++;
      return standing.join(read);
    }
    if (isSerializable) this.counts.missed++;
    return this.#fetch(read, key);
  }

  /** What is known here of a range at a revision, without the header. */
  #bodyAt(plan: RangePlan, scope: CacheScope, revision: bigint): Uint8Array | undefined {
    const kept = this.#kept.get(keyAt(plan, scope, revision));
    if (kept !== undefined) return kept.body;
    const held = this.held.find(scope.id, plan);
    const changedAt = held?.changedAt;
    const isSame =
      held !== undefined && changedAt !== undefined && changedAt <= revision && revision <= held.revision;
    return isSame ? this.#bodyOf(held, plan) : undefined;
  }

  /**
   * The answer is known. That it may be read, and that the revision is not compacted and not in the future, is etcd's to say: asked for
   * the count alone, of one key where there are no permissions (rule 30). Its header is the answer's.
   */
  #vouch({ plan, scope, deadlineMs, client, settle }: CachedRead, body: Uint8Array): () => void {
    const request = this.#options.toRequest(voucherRequest(plan, scope.read.credential !== undefined));
    return this.#options.reads.read(
      scope.read,
      { ...readRangeShape(request), isOfNow: false },
      {
        request,
        deadlineMs,
        client,
        settle: (result) => {
          if (result.t !== "answered") {
            this.#noteFailure(plan, result);
            settle(result);
            return;
          }
          this.counts.kept++;
          this.#keepBody(plan, scope, plan.query.revision, body);
          settle({ t: "answered", head: headOf(result), body, revision: result.revision });
        },
      },
    );
  }

  #fetch(first: CachedRead, key: string): () => void {
    const { plan, scope, client } = first;
    const id = `${scope.read.hasLeader}${key}`;
    const fetch = new Fetch({
      ask: (settle) =>
        this.#options.reads.read(scope.read, alone(plan), {
          request: plan.request,
          deadlineMs: undefined,
          client,
          settle,
        }),
      lookUp: () => this.#lookUp(plan, scope),
      onFound: (body, waiters) => {
        this.#fetches.delete(id);
        this.counts.stored += waiters.length;
        for (const waiter of waiters) waiter.go((read) => this.#vouch(read, body));
      },
      onAnswered: (result, waiters) => {
        this.#fetches.delete(id);
        if (result.t === "answered") this.#keepAt(plan, scope, plan.query.revision, result);
        else this.#noteFailure(plan, result);
        for (const waiter of waiters) {
          if (waiter.isFirst) waiter.read.settle(result);
          else waiter.go((read) => this.#afterFetch(read, result));
        }
      },
      onAbandoned: () => this.#fetches.delete(id),
    });
    this.#fetches.set(id, fetch);
    return fetch.join(first);
  }

  /** Somebody came while an equal read was on its way. */
  #afterFetch(read: CachedRead, result: ReadResult): () => void {
    const { plan, floor } = read;
    if (result.t !== "answered") return this.#readAsked(read);
    if (!plan.query.isSerializable) return this.#vouch(read, bodyOfResult(result));
    read.settle(result.revision >= floor ? result : this.#withHeader(bodyOfResult(result), floor));
    return () => {};
  }

  async #lookUp(plan: RangePlan, scope: CacheScope): Promise<Uint8Array | undefined> {
    const { remote } = this.#options;
    if (remote === undefined || plan.range?.t === "point") return undefined;
    return await remote.get(keyAt(plan, scope, plan.query.revision), scope.read.credential !== undefined);
  }

  #keepAt(plan: RangePlan, scope: CacheScope, revision: bigint, result: Answered): void {
    const body = bodyOfResult(result);
    this.#lastHeader = readResponseHeader(result.head.length > 0 ? result.head : result.body);
    this.#keepBody(plan, scope, revision, body);
    const { remote } = this.#options;
    if (remote === undefined || plan.range?.t === "point") return;
    const hasCredential = scope.read.credential !== undefined;
    remote.set(keyAt(plan, scope, revision), revision, body, this.#limits.storeTtlMs, hasCredential);
  }

  #keepBody(plan: RangePlan, scope: CacheScope, revision: bigint, body: Uint8Array): void {
    const kept: Kept = { body: ownedBytes(body), vouchedAt: this.#options.clock.nowMs() };
    this.#kept.set(keyAt(plan, scope, revision), kept, body.length, this.#limits.storeTtlMs);
  }

  #noteFailure({ query }: RangePlan, result: ReadResult): void {
    if (result.t === "failed") this.floor.noteFailure(query.revision, result.failure);
  }

  /** An answer that shows a revision, in the name of whoever answered last. */
  #withHeader(body: Uint8Array, revision: bigint): ReadResult {
    const shown = this.#lastHeader.revision > revision ? this.#lastHeader.revision : revision;
    return {
      t: "answered",
      head: encodeHeader({ ...this.#lastHeader, revision: shown }),
      body,
      revision: shown,
    };
  }

  #heldScope(scope: CacheScope): HeldScope {
    let held = this.#heldScopes.get(scope);
    if (held === undefined) {
      held = this.#createHeldScope(scope);
      this.#heldScopes.set(scope, held);
    }
    return held;
  }

  #createHeldScope(scope: CacheScope): HeldScope {
    const { reads, toRequest } = this.#options;
    return {
      id: scope.id,
      openHub: () => scope.openHub(),
      load: (_hub, range, bounds) =>
        loadSnapshot(
          (request) =>
            new Promise((resolve, reject) => {
              const asked = toRequest(request);
              reads.read(
                scope.read,
                { ...readRangeShape(asked), isOfNow: false },
                {
                  request: asked,
                  deadlineMs: undefined,
                  settle: (result) => {
                    if (result.t === "answered") resolve(joined(result.head, result.body));
                    else reject(new LoadError(result));
                  },
                },
              );
            }),
          range,
          bounds,
        ),
      probeOf: (key) =>
        toRequest(
          toBinary(RangeRequestSchema, create(RangeRequestSchema, { key, countOnly: true, limit: 1n })),
        ),
    };
  }
}

/** A range could not be read. */
class LoadError extends Error {
  override readonly name = "LoadError";
  readonly failure: ReadFailure | undefined;

  constructor(result: ReadResult) {
    super(result.t === "failed" ? result.failure.message : "no etcd endpoint is available");
    this.failure = result.t === "failed" ? result.failure : undefined;
  }
}

function largeKey({ range }: HeldRange, { timeless }: RangePlan): string {
  return `${rangeId(range)}/${timeless}`;
}

/** A shape that never travels with others. */
function alone({ shape }: RangePlan): RangePlan["shape"] {
  return { ...shape, isOfNow: false };
}

function keyAt({ timeless }: RangePlan, { id }: CacheScope, revision: bigint): string {
  return `${revision}/${id}/${timeless}`;
}

function voucherRequest({ query, range }: RangePlan, hasCredential: boolean): Uint8Array {
  const { key, rangeEnd } =
    hasCredential && range !== undefined ? toRangeFields(range) : { key: query.key, rangeEnd: nothing };
  const { revision, isSerializable: serializable } = query;
  return toBinary(
    RangeRequestSchema,
    create(RangeRequestSchema, { key, rangeEnd, revision, serializable, countOnly: true }),
  );
}

type Answered = ReadResult & { readonly t: "answered" };

function bodyOfResult({ head, body }: Answered): Uint8Array {
  return head.length > 0 ? body : bodyOfRange(body);
}

function headOf({ head, body }: Answered): Uint8Array {
  return head.length > 0 ? head : body.subarray(0, body.length - bodyOfRange(body).length);
}

function owned({ t, head, body, revision }: Answered): Answered {
  return { t, head: ownedBytes(head), body: ownedBytes(body), revision };
}

/** Bytes that keep nothing much larger alive. */
function ownedBytes(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength > bytes.length * 2 ? new Uint8Array(bytes) : bytes;
}

function joined(head: Uint8Array, body: Uint8Array): Uint8Array {
  if (head.length === 0) return body;
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}
