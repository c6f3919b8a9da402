import type { Clock } from "../ports.ts";
import type { LocalRead } from "../read/local-read.ts";
import type { ReadResult, Reads } from "../read/ports.ts";
import { AgedAnswers } from "./aged-answers.ts";
import { AnswersAtRevision } from "./answers-at-revision.ts";
import { type CacheCounts, createCacheCounts } from "./cache-counts.ts";
import { type CacheLimits, defaultCacheLimits } from "./cache-limits.ts";
import type { CachedRead, CacheScope } from "./cached-read.ts";
import type { CompactionFloor } from "./compaction-floor.ts";
import { HeldBodies } from "./held-bodies.ts";
import type { HeldRange } from "./held-range.ts";
import { HeldRanges } from "./held-ranges.ts";
import { HeldScopes } from "./held-scopes.ts";
import type { RangePlan } from "./range-plan.ts";
import type { RemoteAnswers } from "./remote-answers.ts";

/** What a cache is made of. */
export interface ReadCacheOptions {
  readonly reads: Reads;
  readonly clock: Clock;
  /** Makes of a RangeRequest as clients send it one as etcd gets it. */
  readonly toRequest: (request: Uint8Array) => Uint8Array;
  readonly remote?: RemoteAnswers | undefined;
  readonly limits?: Partial<CacheLimits>;
}

const unavailable = 14;

/**
 * Answers reads from what is known here. Nothing in it is ever invalidated: a range that is held is proven by its feed up to the
 * revision that its answers show (rule 6), and what is kept at a revision is true of that revision for ever.
 *
 *     serializable, the present:  held range, else an answer of --cache-max-age, else etcd; never below what the client has seen
 *     linearizable, the present:  a held range once a quorum has said how far the store is, else a read shared with others
 *     at a revision:              held or kept, with etcd's word that it may be read and is not compacted; else read once
 */
export class ReadCache implements Disposable {
  readonly counts: CacheCounts = createCacheCounts();
  readonly held: HeldRanges;
  readonly #reads: Reads;
  readonly #scopes: HeldScopes;
  readonly #bodies: HeldBodies;
  readonly #aged: AgedAnswers;
  readonly #atRevision: AnswersAtRevision;

  constructor({ reads, clock, toRequest, remote, limits: given }: ReadCacheOptions) {
    const limits = { ...defaultCacheLimits, ...given };
    const { counts } = this;
    this.#reads = reads;
    this.held = new HeldRanges(clock, limits);
    this.#scopes = new HeldScopes(reads, toRequest);
    this.#bodies = new HeldBodies(clock, limits);
    this.#aged = new AgedAnswers(clock, limits);
    this.#atRevision = new AnswersAtRevision({
      ...{ reads, clock, limits, counts, remote, toRequest },
      heldAt: (plan, scope, revision) => this.#heldAt(plan, scope, revision),
      ask: (read) => this.#readAsked(read),
    });
  }

  /** Answers that are kept, and their bytes. */
  get size(): { readonly entries: number; readonly bytes: number } {
    return {
      entries: this.#atRevision.size + this.#aged.size,
      bytes: this.#atRevision.bytes + this.#aged.bytes,
    };
  }

  /** Below which revision etcd keeps nothing. */
  get floor(): CompactionFloor {
    return this.#atRevision.floor;
  }

  /** An answer that can be given at once, if there is one. */
  answerNow(plan: RangePlan, scope: CacheScope, floor: bigint): ReadResult | undefined {
    const { revision, isSerializable } = plan.query;
    if (!isSerializable || scope.read.hasLeader) return undefined; // who wants to know of a leader asks a member
    if (revision > 0n) return this.#atRevision.now(plan, scope, floor);
    const held = this.held.find(scope.id, plan);
    if (held?.isServing === true && held.revision >= floor) {
      this.counts.held++;
      return {
        t: "answered",
        head: held.head(),
        body: this.#bodies.of(held, plan),
        revision: held.revision,
      };
    }
    const aged = this.#aged.get(plan, scope);
    if (aged === undefined || aged.revision < floor) return undefined;
    this.counts.aged++;
    this.note(plan, scope);
    return aged;
  }

  /**
   * Takes a read that `answerNow` had no answer for.
   * @returns how to leave
   */
  read(read: CachedRead): () => void {
    const { plan, scope } = read;
    this.note(plan, scope);
    if (plan.query.revision > 0n) return this.#atRevision.read(read);
    const held = this.held.find(scope.id, plan);
    const local = held === undefined ? undefined : this.#toLocal(held, plan);
    if (!plan.query.isSerializable) return this.#readNow(read, local);
    if (scope.read.hasLeader) return this.#readAsked(read);
    this.counts.missed++;
    const isBelow = held?.isServing === true || this.#aged.get(plan, scope) !== undefined;
    return isBelow ? this.#readAbove(read, local) : this.#readAsked(read);
  }

  /** Whether a range that has all keys of the plan can answer it now. */
  isHeld(plan: RangePlan, scope: CacheScope): boolean {
    const held = this.held.find(scope.id, plan);
    return held !== undefined && (plan.query.isSerializable ? held.isServing : held.isUsable);
  }

  /** A read goes another way: it counts for what is hot all the same. */
  note(plan: RangePlan, scope: CacheScope): void {
    if (scope.mayHold?.() !== false) this.held.note(this.#scopes.of(scope), plan);
  }

  /** Permissions may have changed: nothing is answered before etcd has said again that it may be read. */
  forgetPermissions(): void {
    this.#atRevision.forgetPermissions();
    this.#aged.clear();
    this.held.forgetPermissions();
  }

  /** History is another one: nothing of what is kept counts any more (rule 3). */
  forget(): void {
    this.#atRevision.forget();
    this.#aged.clear();
  }

  [Symbol.dispose](): void {
    this.held[Symbol.dispose]();
  }

  /** Of a quorum. */
  #readNow(read: CachedRead, local: LocalRead | undefined): () => void {
    const { plan, scope, deadlineMs, client, settle } = read;
    return this.#reads.read(scope.read, plan.shape, {
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
    const settle = (result: ReadResult): void => {
      if (hasNoQuorum(result)) leave = this.#readAsked({ ...read, floor: 0n });
      else read.settle(result);
    };
    let leave = this.#readNow({ ...read, settle }, local);
    return () => leave();
  }

  /**
   * As it was asked: any member will do. One that is behind what the client has seen will not, unless there is no quorum to say
   * more (rule 29).
   */
  #readAsked(read: CachedRead): () => void {
    const { plan, scope, floor, deadlineMs, client } = read;
    const settle = (result: ReadResult): void => {
      this.#keep(plan, scope, result);
      if (result.t !== "answered" || result.revision >= floor) read.settle(result);
      else leave = this.#readNewer(read, result);
    };
    const shape = { ...plan.shape, isOfNow: false }; // it travels with no others
    let leave = this.#reads.read(scope.read, shape, { request: plan.request, deadlineMs, client, settle });
    return () => leave();
  }

  #readNewer(read: CachedRead, old: ReadResult): () => void {
    this.counts.belowFloor++;
    const settle = (result: ReadResult): void => read.settle(hasNoQuorum(result) ? old : result);
    return this.#readNow({ ...read, settle }, undefined);
  }

  #toLocal(held: HeldRange, plan: RangePlan): LocalRead {
    return { source: held, body: () => this.#bodies.of(held, plan) };
  }

  /** A held range is the same at all revisions since its last change. */
  #heldAt(plan: RangePlan, scope: CacheScope, revision: bigint): Uint8Array | undefined {
    const held = this.held.find(scope.id, plan);
    const changedAt = held?.changedAt;
    const isSame =
      held !== undefined && changedAt !== undefined && changedAt <= revision && revision <= held.revision;
    return isSame ? this.#bodies.of(held, plan) : undefined;
  }

  #keep(plan: RangePlan, scope: CacheScope, result: ReadResult): void {
    if (result.t !== "answered" || plan.query.revision > 0n) return;
    this.#aged.keep(plan, scope, result);
    // A page of a list: others that read it at this revision need not.
    if (result.isLocal !== true && plan.range?.t !== "point" && plan.query.limit > 0n)
      this.#atRevision.keep(plan, scope, result.revision, result);
  }
}

function hasNoQuorum(result: ReadResult): boolean {
  return result.t === "failed" && result.failure.code === unavailable;
}
