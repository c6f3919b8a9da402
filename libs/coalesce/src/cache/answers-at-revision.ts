import {
  create,
  encodeHeader,
  type HeaderView,
  RangeRequestSchema,
  readRangeShape,
  readResponseHeader,
  toBinary,
} from "@etcd-edge/proto";
import type { Clock } from "../ports.ts";
import { toRangeFields } from "../range/key-range.ts";
import type { ReadResult, Reads } from "../read/ports.ts";
import { type Answered, bodyOfAnswer, headOfAnswer, ownedBytes } from "./answer-parts.ts";
import { BoundedMap } from "./bounded-map.ts";
import type { CacheCounts } from "./cache-counts.ts";
import type { CacheLimits } from "./cache-limits.ts";
import type { CachedRead, CacheScope } from "./cached-read.ts";
import { CompactionFloor } from "./compaction-floor.ts";
import { Fetch } from "./fetch.ts";
import type { RangePlan } from "./range-plan.ts";
import type { RemoteAnswers } from "./remote-answers.ts";

/** An answer that holds for one revision, whatever happens later; it never changes. */
interface Kept {
  readonly body: Uint8Array;
  /** When etcd last said to this scope that it may be read, and that the revision is not compacted. */
  readonly vouchedAt: number;
}

export interface AnswersAtRevisionOptions {
  readonly reads: Reads;
  readonly clock: Clock;
  readonly limits: CacheLimits;
  readonly counts: CacheCounts;
  readonly remote: RemoteAnswers | undefined;
  /** Makes of a RangeRequest as clients send it one as etcd gets it. */
  readonly toRequest: (request: Uint8Array) => Uint8Array;
  /** What a range that is held says of the revision, if one is and can. */
  readonly heldAt: (plan: RangePlan, scope: CacheScope, revision: bigint) => Uint8Array | undefined;
  /** Asks etcd for the read as it was asked. @returns how to leave */
  readonly ask: (read: CachedRead) => () => void;
}

const nothing = new Uint8Array(0);

/**
 * Reads at a revision: known here, in the store that replicas share, or of etcd once for all who want them.
 *
 *     kept, vouched for a moment ago ─────────────────────────────────────────▶ answered (serializable)
 *     kept, or held ──▶ etcd vouches: a count at the revision ────────────────▶ answered, with that header
 *     unknown ──▶ shared store ──▶ etcd, once ──▶ kept, and left in the store ─▶ answered
 */
export class AnswersAtRevision {
  readonly floor: CompactionFloor = new CompactionFloor();
  readonly #options: AnswersAtRevisionOptions;
  readonly #kept: BoundedMap<Kept>;
  readonly #fetches = new Map<string, Fetch>();
  /** What etcd said before this of permissions does not count. */
  #vouchedFrom = Number.NEGATIVE_INFINITY;
  /** The last header that etcd has sent. */
  #lastHeader: HeaderView = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };

  constructor(options: AnswersAtRevisionOptions) {
    this.#options = options;
    this.#kept = new BoundedMap(options.clock, options.limits.answerBytes);
  }

  get size(): number {
    return this.#kept.size;
  }

  get bytes(): number {
    return this.#kept.bytes;
  }

  /** An answer that can be given at once, if there is one: serializable. */
  now(plan: RangePlan, scope: CacheScope, floor: bigint): ReadResult | undefined {
    const { clock, counts, limits } = this.#options;
    const { revision } = plan.query;
    if (this.floor.isBelow(revision)) {
      counts.compacted++;
      return { t: "failed", failure: this.floor.failure };
    }
    const kept = this.#kept.get(keyAt(plan, scope, revision));
    const since = Math.max(clock.nowMs() - limits.recheckMs, this.#vouchedFrom);
    if (kept === undefined || kept.vouchedAt < since) return undefined;
    counts.kept++;
    return this.#withHeader(kept.body, revision > floor ? revision : floor);
  }

  /** @returns how to leave */
  read(read: CachedRead): () => void {
    const { counts, heldAt } = this.#options;
    const { plan, scope } = read;
    const { revision, isSerializable } = plan.query;
    const key = keyAt(plan, scope, revision);
    const body = this.#kept.get(key)?.body ?? heldAt(plan, scope, revision);
    if (body !== undefined) return this.#vouch(read, body);
    const standing = this.#fetches.get(`${scope.read.hasLeader}${key}`);
    if (standing !== undefined) {
      counts.joined++;
      return standing.join(read);
    }
    if (isSerializable) counts.missed++;
    return this.#fetch(read, key);
  }

  /** etcd has answered a read, of whatever time, at that revision: it holds for it for ever. */
  keep(plan: RangePlan, scope: CacheScope, revision: bigint, answer: Answered): void {
    const { limits, remote } = this.#options;
    const body = bodyOfAnswer(answer);
    this.#lastHeader = readResponseHeader(answer.head.length > 0 ? answer.head : answer.body);
    this.#keepBody(plan, scope, revision, body);
    if (remote === undefined || plan.range?.t === "point") return;
    const hasCredential = scope.read.credential !== undefined;
    remote.set(keyAt(plan, scope, revision), revision, body, limits.storeTtlMs, hasCredential);
  }

  /** Permissions may have changed: nothing is answered before etcd has said again that it may be read. */
  forgetPermissions(): void {
    this.#vouchedFrom = this.#options.clock.nowMs();
  }

  /** History is another one (rule 3). */
  forget(): void {
    this.#kept.clear();
    this.floor.forget();
  }

  /**
   * The answer is known. That it may be read, and that the revision is not compacted and not in the future, is etcd's to say: asked for
   * the count alone, of one key where there are no permissions (rule 30). Its header is the answer's.
   */
  #vouch({ plan, scope, deadlineMs, client, settle }: CachedRead, body: Uint8Array): () => void {
    const { counts, reads, toRequest } = this.#options;
    const request = toRequest(voucherRequest(plan, scope.read.credential !== undefined));
    const onAnswer = (result: ReadResult): void => {
      if (result.t === "answered") {
        counts.kept++;
        this.#keepBody(plan, scope, plan.query.revision, body);
        settle({ t: "answered", head: headOfAnswer(result), body, revision: result.revision });
      } else {
        this.#noteFailure(plan, result);
        settle(result);
      }
    };
    const shape = { ...readRangeShape(request), isOfNow: false };
    return reads.read(scope.read, shape, { request, deadlineMs, client, settle: onAnswer });
  }

  #fetch(first: CachedRead, key: string): () => void {
    const { ask, counts } = this.#options;
    const { plan, scope } = first;
    const id = `${scope.read.hasLeader}${key}`;
    const fetch = new Fetch({
      ask: (settle) => ask({ ...first, floor: 0n, deadlineMs: undefined, settle }),
      lookUp: () => this.#lookUp(plan, scope),
      onFound: (body, waiters) => {
        this.#fetches.delete(id);
        counts.stored += waiters.length;
        for (const waiter of waiters) waiter.go((read) => this.#vouch(read, body));
      },
      onAnswered: (result, waiters) => {
        this.#fetches.delete(id);
        if (result.t === "answered") this.keep(plan, scope, plan.query.revision, result);
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
    if (result.t !== "answered") return this.#options.ask(read);
    const body = bodyOfAnswer(result);
    if (!plan.query.isSerializable) return this.#vouch(read, body);
    read.settle(result.revision >= floor ? result : this.#withHeader(body, floor));
    return () => {};
  }

  async #lookUp(plan: RangePlan, scope: CacheScope): Promise<Uint8Array | undefined> {
    const { remote } = this.#options;
    if (remote === undefined || plan.range?.t === "point") return undefined;
    return await remote.get(keyAt(plan, scope, plan.query.revision), scope.read.credential !== undefined);
  }

  #keepBody(plan: RangePlan, scope: CacheScope, revision: bigint, body: Uint8Array): void {
    const { clock, limits } = this.#options;
    const kept: Kept = { body: ownedBytes(body), vouchedAt: clock.nowMs() };
    this.#kept.set(keyAt(plan, scope, revision), kept, body.length, limits.storeTtlMs);
  }

  #noteFailure({ query }: RangePlan, result: ReadResult): void {
    if (result.t === "failed") this.floor.noteFailure(query.revision, result.failure);
  }

  /** An answer that shows a revision, in the name of whoever answered last. */
  #withHeader(body: Uint8Array, revision: bigint): ReadResult {
    const shown = this.#lastHeader.revision > revision ? this.#lastHeader.revision : revision;
    const head = encodeHeader({ ...this.#lastHeader, revision: shown });
    return { t: "answered", head, body, revision: shown };
  }
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
