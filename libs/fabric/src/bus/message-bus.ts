/**
 * How replicas talk to each other: subjects, fire and forget, no history. What is lost while nobody is connected is
 * lost; whoever needs it asks again. Contents come from outside and are to be distrusted (see `sealBus`).
 */
export type MessageBus = AsyncDisposable & {
  /** Sends to everybody subscribed now, ourselves included. While not connected the message is dropped and counted. */
  publish(subject: string, data: Uint8Array): void;
  /** Calls `onMessage` for every message on exactly this subject. Returns the way to stop that. */
  subscribe(subject: string, onMessage: (data: Uint8Array) => void): () => void;
  /** Messages larger than this must not be published: the server would end the connection. */
  readonly maxPayloadBytes: number;
  /**
   * Settles once the server has seen everything before it: subscriptions made so far get whatever is published from then
   * on. Rejects where there is no connection.
   */
  flush(): Promise<void>;
  state(): BusState;
  /** Calls `listener` after every change of state. Returns the way to stop that. */
  onState(listener: (state: BusState) => void): () => void;
  readonly counters: BusCounters;
};

export type BusState =
  /** This process only: nobody else can be reached, by configuration. */
  | { readonly t: "local" }
  | { readonly t: "connecting"; readonly error?: string }
  | { readonly t: "connected"; readonly server: string }
  | { readonly t: "closed" };

export type BusCounters = {
  readonly published: number;
  readonly received: number;
  /** Not sent, because there was no connection. */
  readonly dropped: number;
  /** Received and refused by a seal. */
  readonly rejected: number;
};

/** One token of a subject from any text: no dots, wildcards or spaces, never empty, different for different texts. */
export function subjectToken(text: string): string {
  const escaped = text.replace(/[^A-Za-z0-9-]/gu, (char) => `_${char.codePointAt(0)?.toString(16)}_`);
  return escaped === "" ? "_" : escaped;
}
