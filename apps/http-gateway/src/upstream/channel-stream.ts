import {
  type CallOptions,
  type Channel,
  type ClientCall,
  type ClientSink,
  isSafeToResend,
  type Outcome,
  StatusCode,
} from "@etcd-edge/transport";
import { toUpstreamError, withContentType } from "./channel-errors.ts";
import type { Metadata, UpstreamStream } from "./upstream.ts";

/** Messages, and bytes of them, that may wait for the reader before the server is told to stop. */
const maxWaiting = { messages: 16, bytes: 1024 * 1024 };

export interface StreamStart {
  readonly path: string;
  readonly metadata: Metadata;
  readonly options: CallOptions;
  /** The channel to try next; nothing when all were tried. */
  readonly nextChannel: () => Channel | undefined;
}

/**
 * opening ──headers or a message──► answered ──onEnd──► ended
 *    │  ▲
 *    │  └─ another channel, with everything sent so far ─┐
 *    └──────────── onEnd, provably not looked at ────────┘
 */
type Phase =
  /** Keeps what was sent, so that an endpoint that did not take the call costs the client nothing (rule 39). */
  | { readonly t: "opening"; readonly sent: Uint8Array[]; halfClosed: boolean }
  | { readonly t: "answered" }
  | { readonly t: "ended"; readonly outcome: Outcome };

/** A streaming call whose messages are pulled instead of pushed. */
export class ChannelStream implements UpstreamStream {
  readonly #start: StreamStart;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #phase: Phase = { t: "opening", sent: [], halfClosed: false };
  #call: ClientCall;
  #headers: Metadata = [];
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  constructor(channel: Channel, start: StreamStart) {
    this.#start = start;
    this.#call = this.#open(channel);
  }

  get headers(): Metadata {
    return this.#headers;
  }

  async send(message: Uint8Array): Promise<void> {
    if (this.#phase.t === "ended") return;
    if (this.#phase.t === "opening") this.#phase.sent.push(message);
    if (this.#call.sendMessage(message)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakeWriter = resolve;
    await promise;
  }

  halfClose(): void {
    if (this.#phase.t === "opening") this.#phase.halfClosed = true;
    this.#call.halfClose();
  }

  async receive(): Promise<Uint8Array | undefined> {
    while (this.#waiting.length === 0 && this.#phase.t !== "ended") {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeReader = resolve;
      await promise;
    }
    const message = this.#waiting.shift();
    if (message !== undefined) {
      this.#waitingBytes -= message.length;
      if (this.#waiting.length === 0) this.#call.resume();
      return message;
    }
    if (this.#phase.t === "ended" && this.#phase.outcome.code !== StatusCode.ok) {
      throw toUpstreamError(this.#phase.outcome, this.#start.options.deadlineAt);
    }
    return undefined;
  }

  cancel(): void {
    this.#call.cancel();
  }

  #open(channel: Channel): ClientCall {
    const { path, metadata, options } = this.#start;
    return channel.open(path, metadata, options, this.#sink);
  }

  readonly #sink: ClientSink = {
    onHeaders: (metadata) => {
      this.#phase = { t: "answered" };
      this.#headers = withContentType(metadata);
    },
    onMessage: (payload, call) => {
      this.#waiting.push(payload);
      this.#waitingBytes += payload.length;
      if (this.#waiting.length >= maxWaiting.messages || this.#waitingBytes >= maxWaiting.bytes) call.pause();
      this.#wakeReader?.();
    },
    onDrain: () => this.#wakeWriter?.(),
    onEnd: (outcome) => {
      if (this.#phase.t === "opening" && this.#reopen(this.#phase, outcome)) return;
      this.#phase = { t: "ended", outcome };
      this.#wakeReader?.();
      this.#wakeWriter?.();
    },
  };

  #reopen(phase: Phase & { t: "opening" }, outcome: Outcome): boolean {
    if (outcome.code !== StatusCode.unavailable || !isSafeToResend(outcome)) return false;
    const channel = this.#start.nextChannel();
    if (channel === undefined) return false;
    this.#call = this.#open(channel);
    let writable = true;
    for (const message of phase.sent) writable = this.#call.sendMessage(message);
    if (phase.halfClosed) this.#call.halfClose();
    if (writable) this.#wakeWriter?.();
    return true;
  }
}
