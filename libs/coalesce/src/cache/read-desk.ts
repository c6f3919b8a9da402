import { isOfIdentity } from "../permission/identity-refusal.ts";
import type { ReadPermissions } from "../permission/read-permissions.ts";
import type { Clock } from "../ports.ts";
import type { ReadFailure, ReadResult } from "../read/ports.ts";
import type { CachedRead, CacheScope } from "./cached-read.ts";
import type { RangePlan } from "./range-plan.ts";
import type { ReadCache } from "./read-cache.ts";

/** A scope, and what is known of its requests. */
export interface ReadScopePlans {
  readonly scope: CacheScope;
  /** @returns nothing for a request that is etcd's alone to answer */
  planOf(payload: Uint8Array): RangePlan | undefined;
}

/** Who reads: what etcd is shown for one credential, and what that may read. */
export interface Reader extends ReadScopePlans {
  /** Nothing where its reads are shared with nobody else's. */
  readonly permissions: ReadPermissions | undefined;
  /** What does not go under our name is not for the desk to read: its credential is no token of etcd's. */
  readonly goesAlone?: true;
}

/** Under whose name a read goes, and what it is there. */
export interface ReadSeat {
  readonly reader: Reader;
  /** Of the reader's own scope. */
  readonly own: RangePlan;
  /** Of the scope of our identity; nothing where the read goes under the reader's own credential. */
  readonly ours: RangePlan | undefined;
}

/** One caller's read; see {@link CachedRead}. */
export type SeatedRead = Omit<CachedRead, "plan" | "scope">;

export interface ReadDeskOptions {
  readonly cache: ReadCache;
  readonly clock: Clock;
  /** The scope of our identity for those who (do not) want a leader; nothing where there is none, or it has no token now. */
  readonly ours: (hasLeader: boolean) => ReadScopePlans | undefined;
  /** How long our identity is not tried again for what etcd has refused it, in milliseconds. */
  readonly refusedMs: number;
  /** etcd has refused our identity. */
  readonly onRefused: (failure: ReadFailure) => void;
}

/**
 * Decides under whose name reads go (rule 28). Who may read a range, by etcd's word to its own credential, shares with all others who
 * may: their reads are one scope, under an identity of ours. All others read under their own credential.
 *
 *     own credential ── answered by etcd ──▶ ours, until the permission is too old ──▶ own credential …
 *                                              └── etcd refuses us ──▶ own credential, at once (rule 18)
 */
export class ReadDesk {
  readonly #options: ReadDeskOptions;
  /** Plans of ours by those of readers: equal requests have one. */
  readonly #plans = new WeakMap<RangePlan, RangePlan>();
  /** Until when a plan of ours is not tried again. */
  readonly #refused = new WeakMap<RangePlan, number>();
  /** Reads that went under our name. */
  shared = 0;
  /** Of those, reads for which we were refused what their client may read. */
  refusals = 0;

  constructor(options: ReadDeskOptions) {
    this.#options = options;
  }

  /** @returns nothing for a read that its caller makes by itself */
  seat(reader: Reader, payload: Uint8Array): ReadSeat | undefined {
    const own = reader.planOf(payload);
    if (own === undefined) return undefined;
    const ours = this.#findOurs(reader, own, payload);
    return ours === undefined && reader.goesAlone === true ? undefined : { reader, own, ours };
  }

  /** An answer that can be given at once, if there is one. */
  answerNow(seat: ReadSeat, floor: bigint): ReadResult | undefined {
    const { cache } = this.#options;
    const ours = this.#oursOf(seat);
    if (ours === undefined) return cache.answerNow(seat.own, seat.reader.scope, floor);
    const known = cache.answerNow(ours.plan, ours.scope, floor);
    if (known !== undefined) this.shared++;
    return known;
  }

  /** Whether a range that has all keys of the read can answer it now. */
  isHeld(seat: ReadSeat): boolean {
    const { plan, scope } = this.#oursOf(seat) ?? { plan: seat.own, scope: seat.reader.scope };
    return this.#options.cache.isHeld(plan, scope);
  }

  /** A read goes another way: it counts for what is hot all the same. */
  note(seat: ReadSeat): void {
    const { plan, scope } = this.#oursOf(seat) ?? { plan: seat.own, scope: seat.reader.scope };
    this.#options.cache.note(plan, scope);
  }

  /**
   * Takes a read that `answerNow` had no answer for.
   * @returns how to leave
   */
  read(seat: ReadSeat, read: SeatedRead): () => void {
    const ours = this.#oursOf(seat);
    if (ours === undefined) return this.#readOwn(seat, read);
    this.shared++;
    let leave = this.#options.cache.read({
      ...read,
      ...ours,
      settle: (result) => {
        if (result.t !== "failed" || !isOfIdentity(result.failure)) {
          read.settle(result);
          return;
        }
        // What etcd says of us is nobody else's (rule 18).
        this.refusals++;
        this.#refused.set(ours.plan, this.#options.clock.nowMs() + this.#options.refusedMs);
        this.#options.onRefused(result.failure);
        if (seat.reader.goesAlone === true) read.settle({ t: "aside" });
        else leave = this.#readOwn(seat, read);
      },
    });
    return () => leave();
  }

  #readOwn({ reader, own }: ReadSeat, read: SeatedRead): () => void {
    const { cache, clock } = this.#options;
    const { scope, permissions } = reader;
    const { range, query } = own;
    if (permissions === undefined || range === undefined || query.revision > 0n)
      return cache.read({ ...read, plan: own, scope });
    const sentAt = clock.nowMs();
    return cache.read({
      ...read,
      plan: own,
      scope,
      settle: (result) => {
        // What is answered from here was not asked of etcd now.
        if (result.t === "answered" && result.isLocal !== true) permissions.note(range, sentAt);
        read.settle(result);
      },
    });
  }

  #oursOf({ reader, ours }: ReadSeat): { readonly plan: RangePlan; readonly scope: CacheScope } | undefined {
    if (ours === undefined) return undefined;
    const scope = this.#options.ours(reader.scope.read.hasLeader)?.scope;
    return scope === undefined ? undefined : { plan: ours, scope };
  }

  #findOurs({ scope, permissions }: Reader, own: RangePlan, payload: Uint8Array): RangePlan | undefined {
    if (permissions === undefined || own.range === undefined) return undefined;
    const scoped = this.#options.ours(scope.read.hasLeader);
    if (scoped === undefined || !permissions.isAllowed(own.range)) return undefined;
    let plan = this.#plans.get(own);
    if (plan === undefined) {
      plan = scoped.planOf(payload);
      if (plan === undefined) return undefined;
      this.#plans.set(own, plan);
    }
    const refusedUntil = this.#refused.get(plan);
    return refusedUntil !== undefined && this.#options.clock.nowMs() < refusedUntil ? undefined : plan;
  }
}
