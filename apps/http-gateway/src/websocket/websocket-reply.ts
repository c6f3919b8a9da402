import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Reply } from "../door/reply.ts";
import { failedCallBody, streamErrorBody } from "../http/error-body.ts";
import type { Failure } from "../http/failure.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import { frameText } from "./text-frame.ts";

/** Bytes that may wait in a socket before a stream is held back. */
const maxBufferedBytes = 256 * 1024;

/** The frame that was made last: one socket after the other mostly sends the same one. */
const last: { line: Buffer; frame: Buffer } = { line: Buffer.alloc(0), frame: Buffer.alloc(0) };

/**
 * Answers a call over a WebSocket: each line of what HTTP would answer is one text message, statuses and headers do not
 * show. The end of the call closes the socket with 1000, where etcd drops the connection without a word.
 */
export class WebSocketReply implements Reply {
  readonly #socket: WebSocket;
  readonly #connection: Duplex;
  readonly #profile: JsonProfile;
  #framesSent = false;
  #isInParts = false;

  /** @param connection what the socket is on */
  constructor(socket: WebSocket, connection: Duplex, profile: JsonProfile) {
    this.#socket = socket;
    this.#connection = connection;
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

  async #send(text: string, fin: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // The callback comes with an error on a socket that is closing; its close event ends the call.
    this.#socket.send(text, { fin, binary: false }, () => resolve());
    if (this.#socket.bufferedAmount > maxBufferedBytes) await promise;
  }

  get isIdle(): boolean {
    return !this.#connection.writableNeedDrain;
  }

  onDrain(listener: () => void): void {
    this.#connection.on("drain", listener);
  }

  line(line: Buffer): boolean {
    // What a line without anything says a ping says, too.
    if (line.length === 1) return true;
    if (this.#socket.readyState !== this.#socket.OPEN) return false;
    this.#framesSent = true;
    if (last.line !== line) {
      last.line = line;
      last.frame = frameText(line.subarray(0, -1));
    }
    // Past `ws`, which writes whole frames at once, too: nothing comes in between.
    return this.#connection.write(last.frame);
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
