/**
 * How replicas talk: fire and forget, to everybody who listens on a channel, ourselves included. Messages may be lost,
 * repeated, late and out of order, and come from anybody who can reach the bus.
 */
export interface FabricBus {
  /** Whether what is published now reaches the others, if nothing goes wrong. */
  readonly isConnected: boolean;
  /** Messages larger than this are not sent. */
  readonly maxPayloadBytes: number;
  publish(channel: string, data: Uint8Array): void;
  /** @returns the way to stop it */
  subscribe(channel: string, onMessage: (data: Uint8Array) => void): () => void;
  /** Settles once the subscriptions made so far are in force; rejects where there is no connection. */
  flush(): Promise<void>;
  /** Calls after every change of `isConnected`. @returns the way to stop it */
  onConnection(listener: () => void): () => void;
}

/** Makes short names: equal for equal texts, different for others even if somebody tries. Letters and digits only. */
export type Digest = (text: string) => string;

/** What is remembered of a cluster's history, by whoever outlives a replica (rule 3). */
export interface HistoryRecord {
  readonly clusterId: bigint;
  readonly epoch: EpochTag;
  /** The highest that a quorum has said. */
  readonly revision: bigint;
  readonly raftTerm: bigint;
}

/** Which history of a cluster: a random name, and how many were seen to be replaced before it. */
export interface EpochTag {
  readonly id: string;
  readonly number: bigint;
}

/** Where histories are remembered: other replicas, a store. Losing it costs trust in nothing but old entries. */
export interface HistoryStore {
  /** Nothing where nothing is known, or nobody answers within a moment. Never rejects. */
  load(clusterId: bigint): Promise<HistoryRecord | undefined>;
  /** Called whenever the epoch changes, and now and then with later revisions. Never throws. */
  save(record: HistoryRecord): void;
}
