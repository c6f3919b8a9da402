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
