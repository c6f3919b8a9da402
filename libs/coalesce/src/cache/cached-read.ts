import type { ReadResult, ReadScope } from "../read/ports.ts";
import type { OpenHub } from "./held-ranges.ts";
import type { RangePlan } from "./range-plan.ts";

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
