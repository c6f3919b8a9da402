import type { Buffer } from "node:buffer";
import type { CancelReason, Status } from "../grpc/call-types.ts";
import { checkMetadata, NO_METADATA, type RawMetadata } from "../grpc/metadata.ts";
import { StatusCode } from "../grpc/status.ts";
import { encodeStatusMessage } from "../grpc/status-message.ts";
import { blockWriter } from "../http2/block-writer.ts";
import { ClosedHow } from "../http2/closed-streams.ts";
import { ErrorCode, FrameType } from "../http2/constants.ts";
import { deadlines, type Expirable } from "../http2/deadline-wheel.ts";
import { GrpcStream, StreamPhase } from "../http2/grpc-stream.ts";
import { CONTENT_TYPE, OK_TRAILERS, PLAIN_HEADERS } from "./response-frames.ts";
import type { ServerConnection } from "./server-connection.ts";

/**
 * Takes what a client sends in one call. The call is passed along, so that one sink may serve many calls.
 * What these methods throw ends the call with 13 and is reported as an event.
 */
export interface ServerSink<C = unknown> {
  /**
   * One message, without prefix, uncompressed. A view over the chunk that was read: valid as long as you hold it, but
   * holding it holds the chunk (up to 64 KiB). Copy small pieces that are kept.
   */
  onMessage(payload: Buffer, call: ServerCall<C>): void;
  /** The client has ended its side, after all its messages. */
  onHalfClose(call: ServerCall<C>): void;
  /** The call is over and nothing can be sent (after "deadline": status 4 goes out when this returns). Called at most once, and not after `end`. */
  onCancel(reason: CancelReason, call: ServerCall<C>): void;
  /** After a send returned false: more can be sent. */
  onDrain?(call: ServerCall<C>): void;
}

/** One call that a client made. */
export class ServerCall<C = unknown> extends GrpcStream implements Expirable {
  /** `:path`, for example `/etcdserverpb.KV/Range`. */
  readonly path: string;
  readonly authority: string;
  /** Metadata of the request. */
  readonly metadata: RawMetadata;
  /** performance.now() at which `grpc-timeout` runs out. */
  readonly deadlineAt: number | undefined;
  previousDue: Expirable | undefined = undefined;
  nextDue: Expirable | undefined = undefined;
  /** The connection the call came in on. */
  readonly client: ServerConnection<C>;
  readonly endsWithData = false;
  #sink: ServerSink<C> | undefined = undefined;
  #headersSent = false;
  #status: Status | undefined = undefined;

  constructor(
    client: ServerConnection<C>,
    request: { readonly path: string; readonly authority: string; readonly metadata: RawMetadata },
    timeoutMs: number | undefined,
  ) {
    super();
    this.client = client;
    this.path = request.path;
    this.authority = request.authority;
    this.metadata = request.metadata;
    this.deadlineAt = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  }

  /** Milliseconds left; undefined without a deadline. Negative when it has passed. */
  remainingMs(): number | undefined {
    return this.deadlineAt === undefined ? undefined : this.deadlineAt - performance.now();
  }

  get discardsInput(): boolean {
    return this.localEnded;
  }

  /** The call is over, or its end is on the way: nothing more can be sent. */
  get isEnded(): boolean {
    return this.localEnded;
  }

  /** Sends the response's metadata now; else it goes with the first message or the end. At most once. */
  sendHeaders(metadata: RawMetadata = NO_METADATA): void {
    if (this.#headersSent || this.localEnded) return;
    if (metadata.length === 0 && !this.client.encoder.isUpdateDue) {
      this.client.out.writeFrames(PLAIN_HEADERS, this.id);
    } else {
      checkMetadata(metadata);
      blockWriter.begin(this.client.encoder);
      blockWriter.add(":status", "200");
      blockWriter.add("content-type", CONTENT_TYPE);
      blockWriter.addAll(metadata);
      this.client.out.writeHeaderBlock(this.id, blockWriter.buffer, blockWriter.length, false);
    }
    this.#headersSent = true;
  }

  /**
   * Sends one message. The bytes must not be changed before `onDrain` if this returns false.
   *
   * @returns whether more should be sent now; false means taken, but wait for `onDrain`, or the call is over.
   */
  sendMessage(payload: Uint8Array): boolean {
    return this.sendMessageParts(NOTHING, payload);
  }

  /** The same for a message of two parts, so that many calls can share `body`. */
  sendMessageParts(head: Uint8Array, body: Uint8Array): boolean {
    if (!this.#headersSent) this.sendHeaders();
    return this.writeMessage(head, body, false);
  }

  /** Sends bytes that are one or more whole messages, each with its five-byte prefix: see `frameMessage`. */
  sendFramed(framed: Uint8Array): boolean {
    if (!this.#headersSent) this.sendHeaders();
    return this.writeFramed(framed);
  }

  /** Ends the call, after what was sent. A second end is ignored: the first word counts. */
  end(status: Status = OK): void {
    if (this.localEnded) return;
    if (status.metadata !== undefined) checkMetadata(status.metadata);
    this.#status = status;
    this.endAfterQueue = true;
    if (this.queuedBytes === 0) this.writeEnd();
  }

  /** Answers a unary call that went well: message and status in one go. */
  respond(payload: Uint8Array): void {
    this.sendMessage(payload);
    this.end(OK);
  }

  /**
   * Resets the stream without a status. REFUSED_STREAM tells the client to try again: only for calls of which nothing
   * was forwarded (rule 39).
   */
  reset(errorCode: number): void {
    this.client.resetStream(this, errorCode);
  }

  // ---- called by the connection ----

  /** Gives the call its consumer. */
  start(sink: ServerSink<C>): void {
    this.#sink = sink;
    if (!this.isOver) deadlines.add(this);
  }

  writeEnd(): void {
    const status = this.#status ?? OK;
    this.endAfterQueue = false;
    const { client } = this;
    if (this.#headersSent && status.code === 0 && isBare(status) && !client.encoder.isUpdateDue) {
      client.out.writeFrames(OK_TRAILERS, this.id);
    } else {
      this.#writeTrailers(status);
    }
    if (this.phase === StreamPhase.halfClosedRemote) {
      client.removeStream(this, ClosedHow.ended);
      this.abort();
    } else {
      // The client may stop sending: nobody listens (RFC 9113, 8.1).
      client.out.writeNumber(FrameType.rstStream, this.id, ErrorCode.noError);
      client.removeStream(this, ClosedHow.resetByUs);
    }
  }

  #writeTrailers(status: Status): void {
    const { encoder, out } = this.client;
    blockWriter.begin(encoder);
    if (!this.#headersSent) {
      blockWriter.add(":status", "200");
      blockWriter.add("content-type", CONTENT_TYPE);
    }
    blockWriter.add("grpc-status", String(status.code));
    if (status.message) blockWriter.add("grpc-message", encodeStatusMessage(status.message));
    if (status.metadata !== undefined) blockWriter.addAll(status.metadata);
    this.#headersSent = true;
    out.writeHeaderBlock(this.id, blockWriter.buffer, blockWriter.length, true);
  }

  onDeadline(): void {
    if (this.localEnded) {
      // The client has given up too: what it has not taken by now it never will.
      this.client.resetStream(this, ErrorCode.cancel);
      return;
    }
    this.client.counters.callsTimedOut++;
    this.#cancel({ t: "deadline" });
    if (this.localEnded) return;
    this.client.dropQueue(this);
    this.end({ code: StatusCode.deadlineExceeded, message: "context deadline exceeded" });
  }

  protected onMessage(payload: Buffer): void {
    if (this.localEnded) return;
    try {
      this.#sink?.onMessage(payload, this);
    } catch (error) {
      this.client.onHandlerError(this, error);
    }
  }

  protected onEnd(): void {
    if (this.localEnded) return;
    try {
      this.#sink?.onHalfClose(this);
    } catch (error) {
      this.client.onHandlerError(this, error);
    }
  }

  onWritable(): void {
    if (this.localEnded) return;
    try {
      this.#sink?.onDrain?.(this);
    } catch (error) {
      this.client.onHandlerError(this, error);
    }
  }

  failLocally(code: number, message: string): void {
    if (this.localEnded) return;
    // What is queued will not be waited for: the call is lost.
    this.client.dropQueue(this);
    const sink = this.#takeSink();
    this.end({ code, message });
    this.#cancel({ t: "rejected", code, message }, sink);
  }

  onReset(errorCode: number): void {
    this.#cancel({ t: "reset", code: errorCode });
  }

  onStreamError(_errorCode: number, message: string): void {
    this.#cancel({ t: "rejected", code: StatusCode.internal, message });
  }

  onConnectionLost(message: string): void {
    this.#cancel({ t: "connectionLost", message });
  }

  /** The sink, if it is still to be told of the end; it is told once. */
  #takeSink(): ServerSink<C> | undefined {
    const sink = this.#status === undefined ? this.#sink : undefined;
    this.#sink = undefined;
    return sink;
  }

  #cancel(reason: CancelReason, sink: ServerSink<C> | undefined = this.#takeSink()): void {
    try {
      sink?.onCancel(reason, this);
    } catch (error) {
      this.client.onHandlerError(this, error);
    }
  }
}

const OK: Status = { code: 0 };
const NOTHING: Uint8Array = new Uint8Array(0);

function isBare(status: Status): boolean {
  return !status.message && (status.metadata === undefined || status.metadata.length === 0);
}
