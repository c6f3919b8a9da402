import type { Clock } from "../ports.ts";
import type { LargeAnswers } from "./large-answers.ts";
import type { ReadMembers } from "./ports.ts";
import type { ReadCounts, ReadLimits } from "./read-limits.ts";
import type { Suspects } from "./suspects.ts";

/** What all groups of reads share. */
export interface ReadContext<M> {
  readonly members: ReadMembers<M>;
  readonly clock: Clock;
  readonly limits: ReadLimits;
  readonly counts: ReadCounts;
  readonly suspects: Suspects;
  readonly large: LargeAnswers;
  /** Made of the bytes of a RangeResponse before callers get them; it may throw. */
  readonly toAnswer: ((payload: Uint8Array) => Uint8Array) | undefined;
  /** What the cluster was seen to take in one Txn. */
  maxOps: number;
  /** Members that take no reads of ours now, and until when. */
  readonly avoided: Map<M, number>;
}
