import type { WebSocket } from "ws";
import type { Reply } from "../door/reply.ts";
import { failedCallBody, streamErrorBody } from "../http/error-body.ts";
import type { Failure } from "../http/failure.ts";
import type { JsonProfile } from "../profile/json-profile.ts";

/** Bytes that may wait in a socket before a stream is held back. */
const maxBufferedBytes = 256 * 1024;

/**
 * Answers a call over a WebSocket: each line of what HTTP would answer is one text message, statuses and headers do not
 * show. The end of the call closes the socket with 1000, where etcd drops the connection without a word.
 */
export class WebSocketReply implements Reply {
  readonly #socket: WebSocket;
  readonly #profile: JsonProfile;
  #framesSent = false;
  #isInParts = false;
  #onDrain: (() => void) | undefined;

  constructor(socket: WebSocket, profile: JsonProfile) {
    this.#socket = socket;
    this.#profile = profile;
  }

  unary(text: string): void {
    this.#socket.send(text);
    this.end();
  }

  /** A fragment: all of them are one text message, of which nobody here holds more than a part. */
  async part(text: string): Promise<void> {
    this.#isInParts = true;
    await this.#send(text, false);
  }

  breakOff(): void {
    this.#socket.terminate();
  }

  async frame(text: string): Promise<void> {
    this.#framesSent = true;
    await this.#send(text, true);
  }

  get isIdle(): boolean {
    return this.#socket.bufferedAmount <= maxBufferedBytes;
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  line(line: Buffer): boolean {
    // What a line without anything says a ping says, too.
    if (line.length === 1) return true;
    this.#framesSent = true;
    const isFull = this.#socket.bufferedAmount + line.length > maxBufferedBytes;
    const written = isFull ? () => this.#tellDrained() : undefined;
    this.#socket.send(line.subarray(0, -1), { binary: false }, written);
    return !isFull;
  }

  /** Called for each message that was written while there was too much; the last of them finds room. */
  #tellDrained(): void {
    if (this.isIdle) this.#onDrain?.();
  }

  async #send(text: string, fin: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // The callback comes with an error on a socket that is closing; its close event ends the call.
    this.#socket.send(text, { fin, binary: false }, () => resolve());
    if (this.#socket.bufferedAmount > maxBufferedBytes) await promise;
  }

  end(): void {
    if (this.#isInParts) this.#socket.send("", { fin: true, binary: false });
    this.#socket.close(1000);
  }

  fail(failure: Failure, shape: "unary" | "stream"): void {
    const body = this.#framesSent
      ? streamErrorBody(this.#profile, failure)
      : failedCallBody(this.#profile, failure, shape);
    this.#socket.send(body.trimEnd());
    this.end();
  }
}
