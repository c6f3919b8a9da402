/** What the lease book may take. All durations in milliseconds. */
export interface LeaseBookLimits {
  /** Streams of one scope toward etcd: of each lane, and in all with those that are stuck. */
  readonly maxStreams: { readonly sound: number; readonly doubtful: number; readonly total: number };
  /** Renewals in the air on one stream. More wait here, where the most urgent goes first. */
  readonly maxInAir: number;
  /** Longest that one answer of etcd serves others; a sixth of the TTL where that is less. */
  readonly maxShareMs: number;
  /** Longest that a renewal waits for an answer of anybody before its client's stream is ended with 14. */
  readonly maxWaitMs: number;
  /** How long a stuck stream is listened to. */
  readonly stuckForMs: number;
  /** How long no stream is opened on a member where one got stuck, if there is another member. */
  readonly shunMs: number;
  /** How long a stream without work is kept, and a scope without clients. */
  readonly idleMs: number;
  /** Pause after a stream that could not be opened; doubles up to the second. */
  readonly minPauseMs: number;
  readonly maxPauseMs: number;
}

/**
 * 20,000 leases of 20 s are 3,000 renewals a second; a stream to a member that is not the leader carries 1,000 at a
 * round trip of 1 ms (rule 12).
 */
export const defaultLeaseLimits: LeaseBookLimits = {
  maxStreams: { sound: 4, doubtful: 2, total: 8 },
  maxInAir: 64,
  maxShareMs: 1_000,
  maxWaitMs: 7_000, // as long as etcd itself waits for its leader
  stuckForMs: 10_000,
  shunMs: 5_000,
  idleMs: 10_000,
  minPauseMs: 50,
  maxPauseMs: 1_000,
};
