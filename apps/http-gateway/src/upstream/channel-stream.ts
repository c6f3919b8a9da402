import type { CallOptions, Channel, ClientCall, Outcome } from "@etcd-edge/transport";
import { toUpstreamError, withContentType } from "./channel-errors.ts";
import type { Metadata, UpstreamStream } from "./upstream.ts";

/** Messages that may wait for the reader before the server is told to stop. */
const maxWaitingMessages = 16;

/** A call of a channel whose messages are pulled instead of pushed. */
export class ChannelStream implements UpstreamStream {
  readonly #call: ClientCall;
  readonly #waiting: Uint8Array[] = [];
  #headers: Metadata = [];
  #outcome: Outcome | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  constructor(
    channel: Channel,
    start: { readonly path: string; readonly metadata: Metadata; readonly options: CallOptions },
  ) {
    this.#call = channel.open(start.path, start.metadata, start.options, {
      onHeaders: (metadata) => {
        this.#headers = withContentType(metadata);
      },
      onMessage: (payload) => {
        this.#waiting.push(payload);
        if (this.#waiting.length >= maxWaitingMessages) this.#call.pause();
        this.#wakeReader?.();
      },
      onDrain: () => this.#wakeWriter?.(),
      onEnd: (outcome) => {
        this.#outcome = outcome;
        this.#wakeReader?.();
        this.#wakeWriter?.();
      },
    });
  }

  get headers(): Metadata {
    return this.#headers;
  }

  async send(message: Uint8Array): Promise<void> {
    if (this.#call.sendMessage(message) || this.#outcome !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakeWriter = resolve;
    await promise;
  }

  halfClose(): void {
    this.#call.halfClose();
  }

  async receive(): Promise<Uint8Array | undefined> {
    while (this.#waiting.length === 0 && this.#outcome === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeReader = resolve;
      await promise;
    }
    const message = this.#waiting.shift();
    if (message !== undefined) {
      if (this.#waiting.length === 0) this.#call.resume();
      return message;
    }
    if (this.#outcome !== undefined && this.#outcome.code !== 0)
      throw toUpstreamError(this.#outcome, this.#call.deadlineAt);
    return undefined;
  }

  cancel(): void {
    this.#call.cancel();
  }
}
