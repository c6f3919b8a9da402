/** Bounds of what is kept of reads. Durations in milliseconds. */
export interface CacheLimits {
  /** Ranges held because they are hot, with an upstream watch each (rule 33). Default 64. */
  readonly feeds: number;
  /** Bytes of events per second that such a watch may cost before it is given up. Default 512 KiB. */
  readonly feedBytesPerSecond: number;
  /** Bytes of all ranges that are held. Default 256 MiB. */
  readonly heldBytes: number;
  /** Most keys of one range that is held. Default 1,000,000. */
  readonly heldKeys: number;
  /** Bytes of answers that are kept. Default 64 MiB. */
  readonly answerBytes: number;
  /** How long an answer stands for a range that nobody watches, to serializable reads. 0 is not at all. Default 0. */
  readonly maxAgeMs: number;
  /** How long a permission is remembered (rule 18). Default 5 s. */
  readonly recheckMs: number;
  /** How long reads wait for a held range to be as far as a quorum. Default 1 s. */
  readonly coverMs: number;
  /** A range that is held for its heat and not read for so long is let go. Default 60 s. */
  readonly idleMs: number;
  /** How long an answer stays in the shared store. Default 1 h. */
  readonly storeTtlMs: number;
}

export const defaultCacheLimits: CacheLimits = {
  feeds: 64,
  feedBytesPerSecond: 512 * 1024,
  heldBytes: 256 << 20,
  heldKeys: 1_000_000,
  answerBytes: 64 << 20,
  maxAgeMs: 0,
  recheckMs: 5_000,
  coverMs: 1_000,
  idleMs: 60_000,
  storeTtlMs: 3_600_000,
};
