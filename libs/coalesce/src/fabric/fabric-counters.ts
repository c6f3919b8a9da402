/** What the fabric of a replica has done, since the start. */
export interface FabricCounters {
  framesOut: number;
  frameBytesOut: number;
  framesIn: number;
  frameBytesIn: number;
  /** Frames that said nothing new: repeats, a second ingester, late ones. */
  framesStale: number;
  /** Frames that were announced and not sent, for their size. */
  framesWithheld: number;
  /** Messages of another cluster, or another history of it (rule 3). */
  ignoredHistory: number;
  /** Messages of a format that is not ours (rule 37). */
  ignoredVersion: number;
  ignoredMalformed: number;
  /** Gaps that closed by themselves within the hold. */
  repairsHeld: number;
  /** Gaps that an ingester's log closed. */
  repairsLog: number;
  /** Gaps that etcd had to close. */
  repairsEtcd: number;
  /** Feeds taken over from an ingester that fell silent or left. */
  takeOvers: number;
  /** Feeds taken back by the replica that comes first for them. */
  handBacks: number;
  /** Feeds given up to another ingester of the same range, or a wider one. */
  yields: number;
  /** Feeds handed to another replica before this one left. */
  handOvers: number;
}

export function createFabricCounters(): FabricCounters {
  return {
    framesOut: 0,
    frameBytesOut: 0,
    framesIn: 0,
    frameBytesIn: 0,
    framesStale: 0,
    framesWithheld: 0,
    ignoredHistory: 0,
    ignoredVersion: 0,
    ignoredMalformed: 0,
    repairsHeld: 0,
    repairsLog: 0,
    repairsEtcd: 0,
    takeOvers: 0,
    handBacks: 0,
    yields: 0,
    handOvers: 0,
  };
}
