import type { Buffer } from "node:buffer";
import { checkMetadata, NO_METADATA, type RawMetadata } from "../grpc/metadata.ts";
import { StatusCode, statusFromHttp, statusFromReset } from "../grpc/status.ts";
import { decodeStatusMessage } from "../grpc/status-message.ts";
import { ErrorCode } from "../http2/constants.ts";
import { deadlines, type Expirable } from "../http2/deadline-wheel.ts";
import { GrpcStream, StreamPhase } from "../http2/grpc-stream.ts";
import type { HeaderList } from "../http2/header-list.ts";
import type { ClientConnection } from "./client-connection.ts";
import type { Outcome, Progress } from "./outcome.ts";

/** Takes what the server sends in one call. The call is passed along, so that one sink may serve many calls. */
export interface ClientSink {
  /** Response metadata; not called for an answer of trailers only. */
  onHeaders?(metadata: RawMetadata, call: ClientCall): void;
  /** One message: a view over the chunk that was read, with the lifetime that `ServerSink.onMessage` tells. */
  onMessage(payload: Buffer, call: ClientCall): void;
  /** The end, exactly once, after all messages; never called from inside `open`. */
  onEnd(outcome: Outcome, call: ClientCall): void;
  /** After a send returned false: more can be sent. */
  onDrain?(call: ClientCall): void;
}

/** What `ClientCall` needs of its channel. */
export interface CallOwner {
  /** A call that was waiting for a connection is over. */
  onPendingEnded(call: ClientCall): void;
  /** A call that waits for a connection asks to hold message bytes. False: over the budget, the call must end. */
  admitPending(call: ClientCall, bytes: number): boolean;
  onSinkError(error: unknown): void;
  /** A call has ended, and its sink is told next. */
  readonly onCallEnd?: ((outcome: Outcome, call: ClientCall) => void) | undefined;
}

/** What a call is opened with. */
export interface CallOptions {
  /** performance.now() at which the call ends with 4; sent as `grpc-timeout`. None by default. */
  readonly deadlineAt?: number;
  /** Aborting cancels the call. */
  readonly signal?: AbortSignal;
  /**
   * How long the call may wait while there is no connection (rule 42). Default 0: it waits for an attempt that is
   * under way, and fails with 14 as soon as that fails.
   */
  readonly holdMs?: number;
  /**
   * performance.now() until which the call waits for an attempt that is under way; then it fails with 14 as one that
   * was not sent, and the attempt goes on. Default: until the attempt has ended. Not used where `holdMs` is longer.
   */
  readonly connectBy?: number;
}

const HTTP_OK = "200";

/** One call that we make. Messages may be sent at once; they wait for the connection. */
export class ClientCall extends GrpcStream implements Expirable {
  readonly path: string;
  /** Metadata of the request. */
  readonly metadata: RawMetadata;
  readonly deadlineAt: number | undefined;
  previousDue: Expirable | undefined = undefined;
  nextDue: Expirable | undefined = undefined;
  /** performance.now() until which the call may wait for a connection. */
  readonly holdUntil: number;
  /** performance.now() until which it may wait for an attempt under way; none: until that has ended. */
  readonly connectBy: number | undefined;
  readonly endsWithData = true;
  readonly #owner: CallOwner;
  readonly #sink: ClientSink;
  readonly #signal: AbortSignal | undefined;
  #headersSeen = false;
  /** The end that goes to the sink once everything before it was handed out. */
  #outcome: Outcome | undefined = undefined;
  #isFinished = false;

  constructor(owner: CallOwner, path: string, metadata: RawMetadata, options: CallOptions, sink: ClientSink) {
    super();
    checkMetadata(metadata);
    this.#owner = owner;
    this.path = path;
    this.metadata = metadata;
    this.deadlineAt = options.deadlineAt;
    this.holdUntil = performance.now() + (options.holdMs ?? 0);
    this.connectBy = options.connectBy;
    this.#sink = sink;
    this.#signal = options.signal;
    deadlines.add(this);
    if (this.#signal !== undefined) {
      if (this.#signal.aborted) queueMicrotask(this.#onAbort);
      else this.#signal.addEventListener("abort", this.#onAbort, { once: true });
    }
  }

  get discardsInput(): boolean {
    return this.#isFinished;
  }

  /** The sink was told the end, or is about to be. */
  get isEnded(): boolean {
    return this.#isFinished;
  }

  /**
   * Sends one message; `end` half-closes with it, which saves a frame. The bytes must not be changed before `onDrain`
   * if this returns false.
   *
   * @returns whether more should be sent now; false means taken, but wait for `onDrain`, or the call is over.
   */
  sendMessage(payload: Uint8Array, end = false): boolean {
    return this.writeMessage(NOTHING, payload, end);
  }

  /** Sends bytes that are whole messages, each with its five-byte prefix. */
  sendFramed(framed: Uint8Array): boolean {
    return this.writeFramed(framed);
  }

  /** Ends our side. */
  halfClose(): void {
    if (this.localEnded) return;
    this.endAfterQueue = true;
    if (this.connection !== undefined && this.queuedBytes === 0) this.writeEnd();
  }

  /** Gives the call up: the sink is told `code` (1 by default), the server CANCEL. */
  cancel(code: number = StatusCode.cancelled, message = "call was cancelled"): void {
    this.#finishLocally(
      { code, message, metadata: NO_METADATA, progress: this.#progress() },
      ErrorCode.cancel,
    );
  }

  // ---- called by the connection and the channel ----

  writeEnd(): void {
    this.endAfterQueue = false;
    this.connection?.out.writeEmptyEnd(this);
  }

  onHeaders(headers: HeaderList, endStream: boolean): void {
    if (headers.fault !== undefined) {
      this.connection?.streamError(this, ErrorCode.protocolError, headers.fault);
    } else if (headers.isTooLarge) {
      this.failLocally(StatusCode.resourceExhausted, "header list is too large");
    } else if (!this.#headersSeen) {
      this.#onFirstHeaders(headers, endStream);
    } else if (!endStream || headers.hasPseudo) {
      this.connection?.streamError(this, ErrorCode.protocolError, "malformed trailers");
    } else {
      this.#onTrailers(headers);
    }
  }

  #onFirstHeaders(headers: HeaderList, endStream: boolean): void {
    const { status, contentType = "" } = headers;
    if (status === undefined) {
      this.connection?.streamError(this, ErrorCode.protocolError, "response without :status");
      return;
    }
    if (status.length === 3 && status.startsWith("1") && !endStream) return;
    this.#headersSeen = true;
    if (headers.grpcStatus !== undefined && endStream) {
      this.#onTrailers(headers);
    } else if (status !== HTTP_OK) {
      this.failLocally(statusFromHttp(Number(status)), `unexpected HTTP status ${status}`);
    } else if (!contentType.startsWith("application/grpc")) {
      this.failLocally(StatusCode.unknown, `response has the content-type ${JSON.stringify(contentType)}`);
    } else if (headers.grpcEncoding !== undefined && headers.grpcEncoding !== "identity") {
      this.failLocally(StatusCode.internal, `response is encoded with ${headers.grpcEncoding}`);
    } else if (endStream) {
      this.#onTrailers(headers);
    } else {
      this.expectBytes(headers.contentLength);
      this.#toSink(() => this.#sink.onHeaders?.(headers.metadata, this));
    }
  }

  #onTrailers(headers: HeaderList): void {
    const code = headers.grpcStatus === undefined ? Number.NaN : Number(headers.grpcStatus);
    this.#outcome = Number.isInteger(code)
      ? {
          code,
          message: decodeStatusMessage(headers.grpcMessage ?? ""),
          metadata: headers.metadata,
          progress: "answered",
        }
      : this.#failure(StatusCode.internal, "server closed the stream without sending trailers", "answered");
  }

  protected onMessage(payload: Buffer): void {
    if (this.#isFinished) return;
    if (!this.#headersSeen) {
      this.failLocally(StatusCode.internal, "message before response headers");
      return;
    }
    try {
      this.#sink.onMessage(payload, this);
    } catch (error) {
      this.#onSinkError(error);
    }
  }

  protected onEnd(): void {
    this.#finish(
      this.#outcome ??
        this.#failure(StatusCode.internal, "server closed the stream without sending trailers", "answered"),
    );
  }

  onWritable(): void {
    if (!this.#isFinished) this.#toSink(() => this.#sink.onDrain?.(this));
  }

  failLocally(code: number, message: string): void {
    this.#finishLocally(this.#failure(code, message, this.#progress()), ErrorCode.cancel);
  }

  onReset(errorCode: number): void {
    // A server that sees the deadline first resets the stream (grpc-go does): ours, noticed some ms late, has passed too.
    const isLate = this.deadlineAt !== undefined && performance.now() >= this.deadlineAt;
    if (errorCode === ErrorCode.cancel && this.#outcome === undefined && isLate) {
      if (this.connection !== undefined) this.connection.counters.callsTimedOut++;
      this.#finish(this.#failure(StatusCode.deadlineExceeded, "context deadline exceeded", "sent"));
      return;
    }
    const refused = errorCode === ErrorCode.refusedStream;
    // After complete trailers a reset only says that the rest of our request is not wanted (RFC 9113, 8.1).
    this.#finish(
      this.#outcome ??
        this.#failure(
          refused ? StatusCode.unavailable : statusFromReset(errorCode),
          `stream was reset by the server with code ${errorCode}`,
          refused ? "refused" : "sent",
        ),
    );
  }

  onStreamError(_errorCode: number, message: string): void {
    this.#finish(this.#failure(StatusCode.internal, message, "sent"));
  }

  onConnectionLost(message: string): void {
    this.#finish(this.#outcome ?? this.#failure(StatusCode.unavailable, message, this.#progress()));
  }

  /** The server's GOAWAY says that it did not look at this call. */
  onExcluded(): void {
    this.#finish(this.#failure(StatusCode.unavailable, "server is going away", "refused"));
  }

  /** The channel gives up waiting for a connection. */
  onUnavailable(message: string): void {
    this.abort();
    this.#finish(this.#failure(StatusCode.unavailable, message, "notSent"));
  }

  onDeadline(): void {
    if (this.#isFinished) return;
    if (this.connection !== undefined) this.connection.counters.callsTimedOut++;
    const outcome = this.#failure(StatusCode.deadlineExceeded, "context deadline exceeded", this.#progress());
    this.#finishLocally(outcome, ErrorCode.cancel);
  }

  readonly #onAbort = (): void => {
    this.cancel();
  };

  protected override admitUnconnected(bytes: number): boolean {
    return this.#owner.admitPending(this, bytes);
  }

  #progress(): Progress {
    if (this.#outcome !== undefined) return "answered";
    const connection = this.connection as ClientConnection | undefined;
    return connection?.wasHandedOver(this.id) ? "sent" : "notSent";
  }

  #failure(code: number, message: string, progress: Progress): Outcome {
    return { code, message, metadata: NO_METADATA, progress };
  }

  #finishLocally(outcome: Outcome, errorCode: number): void {
    if (this.#isFinished) return;
    if (this.connection === undefined) {
      this.#owner.onPendingEnded(this);
      this.abort();
    } else {
      this.connection.resetStream(this, errorCode);
      // A closed stream is not reset, but may still hold messages.
      if (this.phase !== StreamPhase.aborted) this.abort();
    }
    this.#finish(outcome);
  }

  #finish(outcome: Outcome): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    deadlines.delete(this);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#owner.onCallEnd?.(outcome, this);
    this.#toSink(() => this.#sink.onEnd(outcome, this));
  }

  #toSink(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#onSinkError(error);
    }
  }

  #onSinkError(error: unknown): void {
    this.cancel(StatusCode.internal, "the consumer of the call failed");
    this.#owner.onSinkError(error);
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
