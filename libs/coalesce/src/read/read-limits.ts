/** Bounds of shared reads. */
export interface ReadLimits {
  /** Most reads in one Txn; lowered by what a cluster says of its own limit. Default 128, as etcd's `--max-txn-ops`. */
  readonly maxOps: number;
  /** Most bytes of requests in one Txn. Default 256 KiB. */
  readonly maxRequestBytes: number;
  /**
   * How long a flight keeps the small reads of its scope waiting. While a member is quick they gather behind one flight, the
   * cheapest way for etcd; one that is slow, or stopped, holds nobody up for longer. Default 20 ms.
   */
  readonly holdMs: number;
  /** Most flights of one scope in the air at one member. Default 4. */
  readonly flightsPerMember: number;
  /** How long etcd has to answer at most, whatever the callers' deadlines. Default 10 s. */
  readonly maxFlightMs: number;
}

export const defaultReadLimits: ReadLimits = {
  maxOps: 128,
  maxRequestBytes: 256 * 1024,
  holdMs: 20,
  flightsPerMember: 4,
  maxFlightMs: 10_000,
};

/** What the hub has done so far. */
export interface ReadCounts {
  /** Reads that were taken. */
  reads: number;
  /** Of those, reads that joined an equal one. */
  joined: number;
  /** Requests sent to etcd, of any kind. */
  sent: number;
  /** Of those, Txns of several reads. */
  batches: number;
  /** Reads that travelled in them. */
  batched: number;
  /** Reads that were asked alone after their Txn was refused. */
  fallbacks: number;
  /** Reads handed back to their callers unshared. */
  aside: number;
  /** Reads that were answered from a range that is held, after a quorum had said how far the store is. */
  local: number;
  /** Distinct reads for which a held range was not as far as the quorum in time: they were asked after all. */
  uncovered: number;
}

export function createReadCounts(): ReadCounts {
  return {
    reads: 0,
    joined: 0,
    sent: 0,
    batches: 0,
    batched: 0,
    fallbacks: 0,
    aside: 0,
    local: 0,
    uncovered: 0,
  };
}
