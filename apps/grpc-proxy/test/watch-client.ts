import {
  create,
  type Event,
  fromBinary,
  type MessageInitShape,
  toBinary,
  type WatchCreateRequestSchema,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import {
  Channel,
  type ChannelOptions,
  type ClientCall,
  type Outcome,
  type RawMetadata,
} from "@etcd-edge/transport";

/** One watch stream on a connection of its own. Dispose of it. */
export class WatchClient implements AsyncDisposable {
  readonly #channel: Channel;
  readonly #call: ClientCall;
  readonly #got: WatchResponse[] = [];
  readonly #waiting: (() => void)[] = [];
  outcome: Outcome | undefined;

  constructor(port: number, metadata: RawMetadata = [], tls?: ChannelOptions["tls"]) {
    this.#channel = new Channel({ endpoint: { host: "127.0.0.1", port }, ...(tls && { tls }) });
    this.#call = this.#channel.open(
      "/etcdserverpb.Watch/Watch",
      metadata,
      {},
      {
        onMessage: (payload) => {
          this.#got.push(fromBinary(WatchResponseSchema, payload));
          this.#wake();
        },
        onEnd: (outcome) => {
          this.outcome = outcome;
          this.#wake();
        },
      },
    );
  }

  /** @param more bytes behind the request, as a newer client would add */
  create(value: MessageInitShape<typeof WatchCreateRequestSchema>, more: readonly number[] = []): void {
    const request = create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } });
    this.#call.sendMessage(Uint8Array.of(...toBinary(WatchRequestSchema, request), ...more));
  }

  /** Stops taking messages, as a client that hangs does. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  /** The next answer. @throws Error where the stream ends instead */
  async next(): Promise<WatchResponse> {
    for (;;) {
      const answer = this.#got.shift();
      if (answer !== undefined) return answer;
      if (this.outcome !== undefined)
        throw new Error(`the stream ended: ${this.outcome.code} ${this.outcome.message}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** So many events, in the order they come. */
  async events(count: number): Promise<Event[]> {
    const events: Event[] = [];
    while (events.length < count) events.push(...(await this.next()).events);
    return events;
  }

  /** Waits for the end of the stream. */
  async end(): Promise<Outcome> {
    while (this.outcome === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.outcome;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#channel[Symbol.asyncDispose]();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
