import type { Socket } from "node:net";
import { type PeerCertificate, TLSSocket } from "node:tls";
import { StatusCode } from "../grpc/status.ts";
import { encodeStatusMessage } from "../grpc/status-message.ts";
import { parseTimeout } from "../grpc/timeout.ts";
import { blockWriter } from "../http2/block-writer.ts";
import { ClosedHow } from "../http2/closed-streams.ts";
import { Connection } from "../http2/connection.ts";
import type { ConnectionOptions } from "../http2/connection-core.ts";
import { ErrorCode, FrameType, MAX_STREAM_ID } from "../http2/constants.ts";
import { deadlines } from "../http2/deadline-wheel.ts";
import type { GrpcStream } from "../http2/grpc-stream.ts";
import type { HeaderList } from "../http2/header-list.ts";
import { FanOut } from "./fan-out.ts";
import { PingPolicy, type PingPolicyOptions } from "./ping-policy.ts";
import { CONTENT_TYPE } from "./response-frames.ts";
import { ServerCall, type ServerSink } from "./server-call.ts";

/** What a server gives to each of its connections. */
export interface ServerConnectionOptions<C> extends ConnectionOptions {
  readonly maxConcurrentStreams: number;
  readonly pingPolicy: PingPolicyOptions;
  readonly acceptRequest: (method: string, contentType: string) => boolean;
  readonly onCall: (call: ServerCall<C>) => ServerSink<C>;
  readonly onHandlerError: (error: unknown, call: ServerCall<C>) => void;
  readonly onClosed: (connection: ServerConnection<C>, reason: string) => void;
  /** Makes the application's own state of this connection. */
  readonly createData: (connection: ServerConnection<C>) => C;
}

/**
 *   accepting ──drain()──► warned (GOAWAY 2^31−1, PING) ──PONG, or a second──► refusing (GOAWAY last) ──no calls──► closing
 */
type DrainState =
  | { readonly t: "accepting" }
  | { readonly t: "warned"; readonly at: number }
  | { readonly t: "refusing" };

/** `application/grpc`, and with a subtype or parameters. */
export function isGrpcContentType(contentType: string): boolean {
  return (
    contentType.startsWith("application/grpc") &&
    (contentType.length === 16 || contentType[16] === "+" || contentType[16] === ";")
  );
}

/** How long after the first GOAWAY the second goes out even without an answer to the PING. */
const WARNING_MS = 1000;
const DRAIN_PING: Uint8Array = Uint8Array.from([0x64, 0x72, 0x61, 0x69, 0x6e, 0, 0, 1]);

/** One client connection. */
export class ServerConnection<C = unknown> extends Connection {
  /** The application's own state, made by `createData`. */
  readonly data: C;
  protected readonly peerIsServer = false;
  readonly #options: ServerConnectionOptions<C>;
  readonly #pings: PingPolicy;
  readonly #maxStreams: number;
  #lastStreamId = 0;
  #drain: DrainState = { t: "accepting" };
  #drainAt = Number.POSITIVE_INFINITY;
  #endAt = Number.POSITIVE_INFINITY;

  constructor(socket: Socket, options: ServerConnectionOptions<C>) {
    super(socket, options, 4096);
    this.#options = options;
    this.#maxStreams = Math.min(options.maxConcurrentStreams, options.limits.maxOpenStreams);
    this.#pings = new PingPolicy(options.pingPolicy);
    this.data = options.createData(this);
  }

  /** The client's address. */
  get peer(): { readonly address: string; readonly port: number } {
    return { address: this.socket.remoteAddress ?? "", port: this.socket.remotePort ?? 0 };
  }

  /** The client's certificate, verified or not as the TLS options say; undefined without TLS or certificate. */
  get peerCertificate(): PeerCertificate | undefined {
    if (!(this.socket instanceof TLSSocket)) return undefined;
    const certificate = this.socket.getPeerCertificate(true);
    return certificate?.raw === undefined ? undefined : certificate;
  }

  /** Whether the connection is encrypted. */
  get isSecure(): boolean {
    return this.socket instanceof TLSSocket;
  }

  /**
   * For messages that many calls of this connection get.
   * @param onTurn called after `wake`, once the connection takes more
   */
  openFanOut(onTurn: () => void): FanOut<C> {
    return new FanOut(this, onTurn);
  }

  protected get lastPeerStreamId(): number {
    return this.#lastStreamId;
  }

  /** Asks the client to go elsewhere, by GOAWAY in two steps; closes when its calls have ended. */
  drain(): void {
    if (this.#drain.t !== "accepting" || this.state.t !== "open") return;
    this.#drain = { t: "warned", at: performance.now() };
    this.writeGoaway(MAX_STREAM_ID, ErrorCode.noError, "graceful shutdown");
    this.sendPing(DRAIN_PING);
  }

  #refuseNew(): void {
    if (this.#drain.t !== "warned") return;
    this.#drain = { t: "refusing" };
    this.writeGoaway(this.#lastStreamId, ErrorCode.noError, "graceful shutdown");
    if (this.streams.size === 0) this.finish("drained");
  }

  /** Drains the connection after `ageMs`, and ends it when that takes longer than `graceMs` (0: waits for ever). */
  limitAge(ageMs: number, graceMs: number): void {
    this.#drainAt = performance.now() + ageMs;
    this.#endAt = graceMs > 0 ? this.#drainAt + graceMs : Number.POSITIVE_INFINITY;
  }

  override tick(now: number): void {
    super.tick(now);
    if (now > this.#drainAt) {
      this.#drainAt = Number.POSITIVE_INFINITY;
      this.counters.agedConnections++;
      this.drain();
    }
    if (now > this.#endAt) this.finish("connection is too old");
    if (this.#drain.t === "warned" && now - this.#drain.at > WARNING_MS) this.#refuseNew();
  }

  protected onPong(): void {
    this.#refuseNew();
  }

  protected onPing(): void {
    if (this.#pings.allows(performance.now(), this.streams.size > 0, this.out.callFrames)) return;
    this.counters.pingFloods++;
    this.fail(ErrorCode.enhanceYourCalm, "too_many_pings");
  }

  onHandedOver(): void {
    // Which calls' bytes left matters to clients only.
  }

  protected onPeerSettings(): void {
    // Nothing depends on them here.
  }

  protected onGoaway(_lastStreamId: number, _code: number, _debug: string): void {
    // The client opens no more streams; those open go on. It closes when it has what it wants.
  }

  protected isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId > this.#lastStreamId;
  }

  protected onHeaders(streamId: number, headers: HeaderList, endStream: boolean): void {
    const known = this.streams.get(streamId);
    if (known !== undefined) {
      this.#onTrailers(known, headers, endStream);
      return;
    }
    if (streamId % 2 === 0) {
      this.fail(ErrorCode.protocolError, "client stream with an even identifier");
    } else if (streamId <= this.#lastStreamId) {
      this.onClosedStreamHeaders(streamId);
    } else if (this.#drain.t === "refusing") {
      // Above the last identifier of our GOAWAY: ignored, the client knows (RFC 9113, 6.8).
      this.counters.callsRefused++;
    } else {
      this.#lastStreamId = streamId;
      this.#onRequest(streamId, headers, endStream);
    }
  }

  #onTrailers(stream: GrpcStream, headers: HeaderList, endStream: boolean): void {
    if (stream.remoteEnded) {
      this.streamError(stream, ErrorCode.streamClosed, "HEADERS after END_STREAM");
    } else if (!endStream || headers.hasPseudo || headers.fault !== undefined) {
      this.streamError(stream, ErrorCode.protocolError, "malformed request trailers");
    } else {
      this.endRemote(stream);
    }
  }

  #onRequest(streamId: number, headers: HeaderList, endStream: boolean): void {
    if (this.streams.size >= this.#maxStreams) {
      this.counters.callsRefused++;
      this.resetUnknown(streamId, ErrorCode.refusedStream);
      return;
    }
    const { path, method, contentType = "" } = headers;
    if (headers.isTooLarge) {
      this.counters.headerListsTooLarge++;
      this.#reject(streamId, endStream, 431, StatusCode.resourceExhausted, "header list is too large");
    } else if (
      headers.fault !== undefined ||
      path === undefined ||
      path === "" ||
      method === undefined ||
      headers.scheme === undefined ||
      headers.status !== undefined ||
      (endStream && Number(headers.contentLength ?? 0) > 0)
    ) {
      this.resetUnknown(streamId, ErrorCode.protocolError);
    } else if (this.#options.acceptRequest(method, contentType)) {
      this.#startCall(streamId, path, headers, endStream);
    } else if (!isGrpcContentType(contentType)) {
      const text = `invalid gRPC request content-type ${JSON.stringify(contentType)}`;
      this.#reject(streamId, endStream, 415, StatusCode.invalidArgument, text);
    } else {
      this.#reject(streamId, endStream, 405, StatusCode.internal, `method ${method} is not POST`);
    }
  }

  #startCall(streamId: number, path: string, headers: HeaderList, endStream: boolean): void {
    const { grpcTimeout, grpcEncoding } = headers;
    const timeoutMs = grpcTimeout === undefined ? undefined : parseTimeout(grpcTimeout);
    if (grpcTimeout !== undefined && timeoutMs === undefined) {
      this.#reject(streamId, endStream, 400, StatusCode.internal, "malformed grpc-timeout");
      return;
    }
    if (grpcEncoding !== undefined && grpcEncoding !== "identity") {
      const text = `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(grpcEncoding)}`;
      this.#reject(streamId, endStream, 200, StatusCode.unimplemented, text);
      return;
    }
    const request = { path, authority: headers.authority ?? "", metadata: headers.metadata };
    const call = new ServerCall<C>(this, request, timeoutMs);
    this.counters.callsStarted++;
    this.addStream(call, streamId);
    call.expectBytes(headers.contentLength);
    try {
      call.start(this.#options.onCall(call));
    } catch (error) {
      this.onHandlerError(call, error);
    }
    if (endStream && !call.isOver) this.endRemote(call);
  }

  /** Answers a request that no handler sees. */
  #reject(streamId: number, endStream: boolean, httpStatus: number, code: number, message: string): void {
    this.counters.callsRejected++;
    blockWriter.begin(this.encoder);
    blockWriter.add(":status", String(httpStatus));
    blockWriter.add("content-type", CONTENT_TYPE);
    blockWriter.add("grpc-status", String(code));
    blockWriter.add("grpc-message", encodeStatusMessage(message));
    if (code === StatusCode.unimplemented) blockWriter.add("grpc-accept-encoding", "identity");
    this.out.writeHeaderBlock(streamId, blockWriter.buffer, blockWriter.length, true);
    if (!endStream) this.out.writeNumber(FrameType.rstStream, streamId, ErrorCode.noError);
    this.closedStreams.add(streamId, endStream ? ClosedHow.ended : ClosedHow.resetByUs);
  }

  /** Drops what a call has queued. */
  dropQueue(call: GrpcStream): void {
    this.queued.remove(call.queuedBytes);
    call.queue = undefined;
  }

  /** A sink threw: its call ends with 13, the others go on. */
  onHandlerError(call: ServerCall<C>, error: unknown): void {
    call.end({ code: StatusCode.internal, message: "internal error" });
    this.#options.onHandlerError(error, call);
  }

  protected onStreamClosed(stream: GrpcStream): void {
    this.counters.callsEnded++;
    deadlines.delete(stream as ServerCall<C>);
    if (this.#drain.t === "refusing" && this.streams.size === 0) this.finish("drained");
  }

  protected onClosed(reason: string): void {
    this.#options.onClosed(this, reason);
  }
}
