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

export function createCacheCounts(): CacheCounts {
  return { held: 0, kept: 0, aged: 0, joined: 0, stored: 0, missed: 0, belowFloor: 0, compacted: 0 };
}
