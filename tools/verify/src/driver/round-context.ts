import type { EtcdClientOptions } from "./etcd-client.ts";
import type { KeySpace } from "./key-space.ts";
import type { Recorder } from "./recorder.ts";

/** How much of everything there is in a round. */
export interface RoundOptions {
  /** What is judged. */
  readonly target: EtcdClientOptions;
  /** Where the reference looks: etcd itself, if it can be reached; else the same as the target. */
  readonly reference: EtcdClientOptions;
  /** Of reads and writes, together. */
  readonly ratePerSecond: number;
  readonly clients: number;
  /** Streams, each with up to four watches. */
  readonly watchStreams: number;
  readonly leaseClients: number;
  /** Written before the watches begin: starts in the past then have more behind them than etcd sends at once. */
  readonly backlog: number;
  readonly groups: number;
  readonly keysPerGroup: number;
  /** How often something is compacted, in milliseconds; 0 for never. */
  readonly compactEveryMs: number;
  /** How long everything may take to come to rest once nothing is disturbed any more; what has not by then never will. */
  readonly settleMs: number;
}

/** What the actors of a round share. */
export interface RoundContext {
  readonly options: RoundOptions;
  readonly recorder: Recorder;
  readonly space: KeySpace;
  /** Aborted when the traffic of the round is over. */
  readonly traffic: AbortSignal;
  /** Aborted when the round is over: watches end. */
  readonly end: AbortSignal;
  onOperation(): void;
  /** Waits while nobody is to say anything. */
  whileHushed(): Promise<void>;
}
