import { Buffer } from "node:buffer";
import { PartialMessage, PREFIX_BYTES } from "../grpc/partial-message.ts";
import { StatusCode } from "../grpc/status.ts";
import { readU32 } from "./bytes.ts";
import type { ConnectionCore } from "./connection-core.ts";
import { ErrorCode } from "./constants.ts";
import type { Outbound } from "./outbound.ts";
import type { Sender } from "./ready-ring.ts";
import { SendQueue } from "./send-queue.ts";

/**
 * RFC 9113, 5.1, as far as a gRPC stream meets it:
 *
 *   idle ──HEADERS──► open ──we end──► halfClosedLocal ──peer ends──┐
 *                      └───peer ends──► halfClosedRemote ──we end──► closed
 *   any ──reset, or the connection is lost──► aborted
 *
 * A closed stream may still hand out messages it held; an aborted one has dropped them.
 */
export const StreamPhase = {
  idle: 0,
  open: 1,
  halfClosedLocal: 2,
  halfClosedRemote: 3,
  closed: 4,
  aborted: 5,
} as const;
/** One of the values of {@link StreamPhase}. */
export type StreamPhase = (typeof StreamPhase)[keyof typeof StreamPhase];

/** A stream takes more while no more than this waits in it, window permitting. */
const QUEUE_AHEAD_BYTES = 64 * 1024;

/**
 * What both roles share: gRPC messages over one HTTP/2 stream, with flow control both ways. Kept small: there may be
 * a hundred thousand idle ones.
 */
export abstract class GrpcStream implements Sender {
  /** Stream identifier; 0 while idle. */
  id = 0;
  phase: StreamPhase = StreamPhase.idle;
  connection: ConnectionCore | undefined = undefined;
  /** What the peer lets us send on this stream. */
  sendWindow = 0;
  /** What we let the peer send on this stream. */
  receiveWindow = 0;
  /** Received, consumed, and not yet credited to the peer. */
  uncreditedBytes = 0;
  /** Linked by ReadyRing. */
  nextReady: Sender | undefined = undefined;
  isReady = false;
  queue: SendQueue | undefined = undefined;
  /** Our side ends as soon as the queue is empty. */
  endAfterQueue = false;
  /** When a tick first found the queue without window. */
  #stalledAt: number | undefined = undefined;
  #isPaused = false;
  #wantsDrain = false;
  #partial: PartialMessage | undefined = undefined;
  /** Messages received while paused, and whether the peer ended after them. */
  #held: Buffer[] | undefined = undefined;
  #endHeld = false;
  #heldBytes = 0;
  #expectedBytes = -1;

  // ---- sending ----

  /** Whether a message given now would go out, or at least lies within the windows and queue bounds. */
  get writable(): boolean {
    if (this.localEnded) return false;
    const queued = this.queue?.length ?? 0;
    return queued === 0 || queued <= Math.min(this.sendWindow, QUEUE_AHEAD_BYTES);
  }

  /** Our side has ended, or will when the queue is empty. */
  get localEnded(): boolean {
    return this.endAfterQueue || this.phase === StreamPhase.halfClosedLocal || this.isOver;
  }

  /** The peer has ended its side. */
  get remoteEnded(): boolean {
    return this.phase >= StreamPhase.halfClosedRemote;
  }

  /** Closed or aborted: nothing goes over the wire any more. */
  get isOver(): boolean {
    return this.phase >= StreamPhase.closed;
  }

  /** Bytes given to this stream that have not been framed yet. */
  get queuedBytes(): number {
    return this.queue?.length ?? 0;
  }

  /**
   * Sends one message, made of `head` followed by `body` (an empty head is common; two parts let many streams share a
   * body). The bytes must not change until they are framed, which may be later if the stream is not writable.
   */
  protected writeMessage(head: Uint8Array, body: Uint8Array, end: boolean): boolean {
    if (this.localEnded) return false;
    const connection = this.connection;
    if (connection !== undefined) {
      connection.counters.messagesSent++;
      if (this.queue === undefined && connection.out.trySendMessage(this, head, body, end)) return true;
    }
    const length = head.length + body.length;
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
    prefix[0] = 0;
    prefix.writeUInt32BE(length, 1);
    return this.#enqueue(prefix, head, body, end);
  }

  /** Sends bytes that already are one or more whole messages with their prefixes. */
  protected writeFramed(framed: Uint8Array): boolean {
    if (this.localEnded) return false;
    const connection = this.connection;
    if (connection !== undefined) {
      connection.counters.messagesSent++;
      if (this.queue === undefined && connection.out.trySendFramed(this, framed)) return true;
    }
    return this.#enqueue(NOTHING, NOTHING, framed, false);
  }

  #enqueue(prefix: Uint8Array, head: Uint8Array, body: Uint8Array, end: boolean): boolean {
    const connection = this.connection;
    const bytes = prefix.length + head.length + body.length;
    const isAdmitted = connection?.admitQueued(bytes) ?? this.admitUnconnected(bytes);
    if (!isAdmitted) {
      const where = connection === undefined ? "without a connection" : "on this connection";
      this.failLocally(StatusCode.resourceExhausted, `too many bytes are waiting to be sent ${where}`);
      return false;
    }
    this.queue ??= new SendQueue();
    this.queue.push(prefix);
    this.queue.push(head);
    this.queue.push(body);
    this.endAfterQueue = end;
    connection?.out.enqueue(this);
    const writable = !end && this.writable;
    this.#wantsDrain = !writable;
    return writable;
  }

  takeTurn(out: Outbound): boolean {
    out.sendTurn(this);
    return true;
  }

  /** Whether a message of so many bytes, with its prefix, could go out now in one frame. */
  takesAtOnce(bytes: number): boolean {
    return bytes <= this.sendWindow && this.queue === undefined && !this.localEnded;
  }

  /** Asks to hold bytes while the stream has no connection. */
  protected admitUnconnected(_bytes: number): boolean {
    return true;
  }

  /** How long queued bytes have found no window, up to `now`. */
  stalledMs(now: number): number {
    if (this.queuedBytes === 0 || this.sendWindow > 0) {
      this.#stalledAt = undefined;
      return 0;
    }
    this.#stalledAt ??= now;
    return now - this.#stalledAt;
  }

  /** The scheduler framed some of the queue: tells whether the consumer is to be called for more. */
  takeDrain(): boolean {
    if (!this.#wantsDrain || !this.writable) return false;
    this.#wantsDrain = false;
    return true;
  }

  // ---- receiving ----

  /** Whether received messages are being held back. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /**
   * Holds back further messages and stream-level credit, so that the peer stops after one stream window. What other
   * streams of the connection receive is not affected (rule 40).
   */
  pause(): void {
    this.#isPaused = true;
  }

  /** Hands out what was held back, then lets messages flow again. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const held = this.#held;
    if (held !== undefined) {
      // The consumer may pause, or pause and resume, from inside: each message leaves before it is handed out.
      while (held.length > 0 && !this.#isPaused && this.phase !== StreamPhase.aborted) {
        const message = held.shift() as Buffer;
        this.#release(message.length);
        this.onMessage(message);
      }
      if (held.length > 0) return;
      this.#held = undefined;
    }
    if (this.#isPaused) return;
    if (this.#endHeld) {
      this.#endHeld = false;
      this.onEnd();
      return;
    }
    this.connection?.credit(this);
  }

  /** The peer announced the number of its data bytes (`content-length`). */
  expectBytes(contentLength: string | undefined): void {
    if (contentLength !== undefined) this.#expectedBytes = Number(contentLength);
  }

  /** Takes data of this stream as it arrives; windows are already accounted for. */
  receive(buffer: Buffer, start: number, end: number): void {
    if (this.#expectedBytes >= 0) {
      this.#expectedBytes -= end - start;
      if (this.#expectedBytes < 0) {
        this.connection?.streamError(this, ErrorCode.protocolError, "more data than content-length");
        return;
      }
    }
    // Whoever has ended a call does not listen any more, though its last words still wait for window.
    if (this.discardsInput) return;
    let position = start;
    while (position < end && this.phase !== StreamPhase.aborted) {
      if (this.#partial === undefined && end - position >= PREFIX_BYTES) {
        const length = readU32(buffer, position + 1);
        if (!this.#accepts(buffer[position] as number, length)) return;
        const payloadStart = position + PREFIX_BYTES;
        if (end - payloadStart >= length) {
          position = payloadStart + length;
          this.#deliver(buffer.subarray(payloadStart, position), buffer.length);
          continue;
        }
      }
      position = this.#receivePartial(buffer, position, end);
    }
  }

  #receivePartial(buffer: Buffer, start: number, end: number): number {
    this.#partial ??= new PartialMessage();
    const partial = this.#partial;
    let position = start;
    if (!partial.hasPrefix) {
      position = partial.addPrefix(buffer, position, end);
      if (!partial.hasPrefix) return position;
      if (!this.#accepts(partial.flag, partial.length)) return end;
    }
    const before = partial.filled;
    position = partial.addPayload(buffer, position, end);
    if (!this.#hold(partial.filled - before)) return end;
    if (partial.isWhole) {
      this.#partial = undefined;
      this.#release(partial.length);
      this.#deliver(partial.payload, partial.length);
    }
    return position;
  }

  #accepts(flag: number, length: number): boolean {
    const connection = this.connection as ConnectionCore;
    if (flag !== 0) {
      this.failLocally(
        StatusCode.internal,
        flag === 1
          ? "message is compressed though no encoding was announced"
          : `message begins with the unknown flag ${flag}`,
      );
      return false;
    }
    const limit = connection.limits.maxReceiveMessageBytes;
    if (length > limit) {
      connection.counters.messagesTooLarge++;
      // Clients know this text of grpc-go.
      this.failLocally(
        StatusCode.resourceExhausted,
        `grpc: received message larger than max (${length} vs. ${limit})`,
      );
      return false;
    }
    return true;
  }

  #deliver(payload: Buffer, backingBytes: number): void {
    const connection = this.connection as ConnectionCore;
    connection.counters.messagesReceived++;
    if (!this.#isPaused && this.#held === undefined) {
      this.onMessage(payload);
      return;
    }
    if (!this.#hold(payload.length)) return;
    this.#held ??= [];
    // A small message must not keep a large chunk alive while it waits.
    this.#held.push(payload.length * 2 < backingBytes ? Buffer.from(payload) : payload);
  }

  #hold(bytes: number): boolean {
    this.#heldBytes += bytes;
    if (this.connection?.admitHeld(bytes)) return true;
    this.failLocally(StatusCode.resourceExhausted, "too many received bytes are waiting on this connection");
    return false;
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.connection?.releaseHeld(bytes);
  }

  /** The peer ended its side after all its data. */
  receiveEnd(): void {
    if (this.#expectedBytes > 0) {
      this.connection?.streamError(this, ErrorCode.protocolError, "less data than content-length");
      return;
    }
    if (this.#partial !== undefined) {
      this.failLocally(StatusCode.internal, "stream ended inside a message");
      return;
    }
    if (this.#isPaused || this.#held !== undefined) this.#endHeld = true;
    else this.onEnd();
  }

  /** Ends everything and lets go of what was held. */
  abort(): void {
    this.phase = StreamPhase.aborted;
    this.connection?.releaseHeld(this.#heldBytes);
    this.#heldBytes = 0;
    this.#held = undefined;
    this.#partial = undefined;
    this.queue = undefined;
    this.endAfterQueue = false;
  }

  /** A whole message arrived. */
  protected abstract onMessage(payload: Buffer): void;
  /** The peer ended its side, and all its messages were handed out. */
  protected abstract onEnd(): void;
  /** More can be written. */
  abstract onWritable(): void;
  /** Everything queued was framed and `endAfterQueue` was set: writes the end, if data could not carry it. */
  abstract writeEnd(): void;
  /** What arrives is of no use any more. */
  abstract readonly discardsInput: boolean;
  /** Whether END_STREAM goes on the last DATA frame (client) or on trailers (server). */
  abstract readonly endsWithData: boolean;
  /** Something is wrong with this call: ends it with a status, as the role does that. */
  abstract failLocally(code: number, message: string): void;
  /** The stream was reset by the peer. */
  abstract onReset(errorCode: number): void;
  /** We reset it for an error of the peer. */
  abstract onStreamError(errorCode: number, message: string): void;
  /** The connection is gone. */
  abstract onConnectionLost(message: string): void;
}

const NOTHING: Uint8Array = new Uint8Array(0);
