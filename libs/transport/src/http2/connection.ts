import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { TransportCounters } from "../counters.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import { HpackError } from "../hpack/hpack-error.ts";
import { ByteBudget } from "./byte-budget.ts";
import { readU31, readU32 } from "./bytes.ts";
import { ClosedHow, ClosedStreams } from "./closed-streams.ts";
import {
  DEFAULT_WINDOW,
  ErrorCode,
  Flag,
  FrameType,
  MAX_STREAM_ID,
  MAX_WINDOW,
  SettingId,
} from "./constants.ts";
import { FloodGuard } from "./flood-guard.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import { type GrpcStream, StreamPhase } from "./grpc-stream.ts";
import { HeaderAssembler } from "./header-assembler.ts";
import type { HeaderList } from "./header-list.ts";
import { Http2Error } from "./http2-error.ts";
import { Keepalive, type KeepaliveOptions } from "./keepalive.ts";
import type { ConnectionLimits } from "./limits.ts";
import { Outbound, type OutboundOwner } from "./outbound.ts";
import { applySettings, createPeerSettings, encodeSettings, type PeerSettings } from "./settings.ts";
import { StreamTable } from "./stream-table.ts";

/** A failing connection is destroyed when its GOAWAY has had this long to get out. */
const FAIL_LINGER_MS = 1000;
/** One that ends in peace may still have answers on their way to a slow reader. */
const FINISH_LINGER_MS = 30_000;
/** A WINDOW_UPDATE below this counts towards the flood limit, for it makes us send in crumbs. */
const TINY_INCREMENT = 32;

/**
 *   open ──fail(), finish()──► closing ──socket closed──► closed
 *     └────────socket closed, destroy()────────────────────┘
 *
 * Draining (GOAWAY) is the business of the roles; for frames the connection is open meanwhile.
 */
export type ConnectionState =
  | { readonly t: "open" }
  | { readonly t: "closing"; readonly reason: string }
  | { readonly t: "closed"; readonly reason: string };

/** What a role gives to its connections. */
export interface ConnectionOptions {
  readonly limits: ConnectionLimits;
  readonly keepalive: KeepaliveOptions;
  readonly counters: TransportCounters;
  /** Shared by the connections of a server or channel. */
  readonly totalHeld?: ByteBudget;
  readonly totalQueued?: ByteBudget;
  /** What goes before our SETTINGS: the client's preface. */
  readonly preface?: Buffer;
  /** SETTINGS to announce, beyond window and header list size. */
  readonly settings: readonly (readonly [id: number, value: number])[];
}

/** One HTTP/2 connection, as both roles have it: frames in, windows, stream table, errors (RFC 9113, 3 to 7). */
export abstract class Connection implements FrameHandler, OutboundOwner {
  readonly socket: Socket;
  readonly limits: ConnectionLimits;
  readonly counters: TransportCounters;
  readonly out: Outbound;
  readonly streams: StreamTable<GrpcStream> = new StreamTable();
  readonly encoder: HpackEncoder;
  readonly peerSettings: PeerSettings = createPeerSettings();
  readonly keepalive: Keepalive;
  state: ConnectionState = { t: "open" };
  /** The peer's SETTINGS arrived, which ends the handshake. */
  isEstablished = false;
  /** Bytes received and not handed out: paused streams, unfinished messages. */
  readonly held: ByteBudget;
  /** Bytes waiting to be sent, in all streams. */
  readonly queued: ByteBudget;
  protected readonly closedStreams: ClosedStreams = new ClosedStreams();
  readonly #reader: FrameReader = new FrameReader(this);
  readonly #headers: HeaderAssembler;
  #receiveWindow = DEFAULT_WINDOW;
  #uncreditedBytes = 0;
  #settingsAcked = false;
  #dataStream: GrpcStream | undefined = undefined;
  #dataLength = 0;
  #callFramesAtPing = 0;
  #writtenAt = performance.now();
  readonly #openedAt = performance.now();
  readonly #resets: FloodGuard;
  readonly #settingsFrames: FloodGuard;
  readonly #pings: FloodGuard;
  readonly #emptyFrames: FloodGuard;
  readonly #windowUpdates: FloodGuard;

  constructor(socket: Socket, options: ConnectionOptions, encoderTableBytes: number) {
    const { limits } = options;
    this.socket = socket;
    this.limits = limits;
    this.counters = options.counters;
    this.encoder = new HpackEncoder(encoderTableBytes);
    this.held = new ByteBudget(limits.maxHeldBytes, options.totalHeld);
    this.queued = new ByteBudget(limits.maxQueuedBytes, options.totalQueued);
    this.out = new Outbound(socket, this, this.queued, options.counters);
    this.#headers = new HeaderAssembler(limits, options.counters);
    this.keepalive = new Keepalive(options.keepalive);
    this.#resets = new FloodGuard(limits.resetFlood);
    this.#settingsFrames = new FloodGuard(limits.settingsFlood);
    this.#pings = new FloodGuard(limits.pingFlood);
    this.#emptyFrames = new FloodGuard(limits.emptyFrameFlood);
    this.#windowUpdates = new FloodGuard(limits.windowUpdateFlood);
    this.counters.connectionsOpened++;
    if (options.preface !== undefined) this.out.writeFrames(options.preface);
    this.out.writeFrames(
      encodeSettings([
        ...options.settings,
        [SettingId.initialWindowSize, limits.streamWindowBytes],
        [SettingId.maxHeaderListSize, limits.maxHeaderListBytes],
      ]),
    );
    const extra = limits.connectionWindowBytes - DEFAULT_WINDOW;
    if (extra > 0) {
      this.out.writeNumber(FrameType.windowUpdate, 0, extra);
      this.#receiveWindow += extra;
    }
  }

  // ---- what the roles decide ----

  /** A whole header block arrived. */
  protected abstract onHeaders(streamId: number, headers: HeaderList, endStream: boolean): void;
  /** The peer has not opened this stream yet, nor have we. */
  protected abstract isIdle(streamId: number): boolean;
  protected abstract onGoaway(lastStreamId: number, code: number, debug: string): void;
  /** A PING came; the role may find that there were too many. */
  protected abstract onPing(): void;
  /** The peer's SETTINGS were applied. */
  protected abstract onPeerSettings(): void;
  /** A PING of ours was answered. */
  protected abstract onPong(): void;
  /** A stream left the table. */
  protected abstract onStreamClosed(stream: GrpcStream): void;
  /** The connection is closed and all its streams were told. */
  protected abstract onClosed(reason: string): void;
  /** Highest stream of the peer that we looked at, for GOAWAY. */
  protected abstract readonly lastPeerStreamId: number;
  protected abstract readonly peerIsServer: boolean;
  /** Bytes were handed to the socket. */
  abstract onHandedOver(): void;

  // ---- bytes in ----

  /** Feeds bytes from the socket. */
  read(chunk: Buffer): void {
    if (this.state.t !== "open") return;
    this.counters.bytesReceived += chunk.length;
    this.keepalive.lastReceivedAt = performance.now();
    try {
      this.#reader.read(chunk);
      this.#checkUnread();
    } catch (error) {
      if (error instanceof Http2Error) this.fail(error.code, error.message);
      else if (error instanceof HpackError) this.fail(ErrorCode.compressionError, error.message);
      else throw error;
    }
  }

  onDataStart(streamId: number, length: number): void {
    this.#dataStream = undefined;
    if (this.state.t !== "open") return;
    this.#checkOutsideHeaders();
    if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, "DATA on stream 0");
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0)
      throw new Http2Error(ErrorCode.flowControlError, "connection window exceeded");
    this.#creditConnection(length);
    this.#dataLength = length;
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.#onClosedStreamFrame(streamId, "DATA");
      return;
    }
    if (stream.remoteEnded) {
      this.streamError(stream, ErrorCode.streamClosed, "DATA after END_STREAM");
      return;
    }
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.streamError(stream, ErrorCode.flowControlError, "stream window exceeded");
      return;
    }
    stream.uncreditedBytes += length;
    this.#dataStream = stream;
  }

  onDataPiece(buffer: Buffer, start: number, end: number, endsStream: boolean): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    // Known before the message is handed out, so that an answer given at once need not reset the stream.
    if (endsStream && stream.phase === StreamPhase.open) stream.phase = StreamPhase.halfClosedRemote;
    stream.receive(buffer, start, end);
  }

  onDataEnd(endStream: boolean): void {
    const stream = this.#dataStream;
    if (this.#dataLength === 0 && !endStream) this.#countEmptyFrame();
    this.#dataStream = undefined;
    if (stream === undefined || stream.isOver) return;
    if (endStream) this.endRemote(stream);
    else if (!stream.isPaused) this.credit(stream);
  }

  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (this.state.t !== "open") return;
    if (type !== FrameType.continuation) this.#checkOutsideHeaders();
    if (!this.isEstablished && type !== FrameType.settings) {
      throw new Http2Error(ErrorCode.protocolError, "first frame is not SETTINGS");
    }
    const length = end - start;
    switch (type) {
      case FrameType.headers:
        if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, "HEADERS on stream 0");
        this.#headers.begin(flags, streamId, buffer, start, end);
        this.#finishHeaders();
        break;
      case FrameType.continuation:
        this.#headers.continue(flags, streamId, buffer, start, end);
        this.#finishHeaders();
        break;
      case FrameType.priority:
        this.#onPriority(streamId, buffer, start, length);
        break;
      case FrameType.rstStream:
        this.#onRstStream(streamId, buffer, start, length);
        break;
      case FrameType.settings:
        this.#onSettings(flags, streamId, buffer, start, end);
        break;
      case FrameType.pushPromise:
        throw new Http2Error(ErrorCode.protocolError, "PUSH_PROMISE though push is off");
      case FrameType.ping:
        this.#onPingFrame(flags, streamId, buffer, start, length);
        break;
      case FrameType.goaway:
        if (streamId !== 0) throw new Http2Error(ErrorCode.protocolError, "GOAWAY on a stream");
        if (length < 8) throw new Http2Error(ErrorCode.frameSizeError, "GOAWAY is too short");
        this.counters.goawaysReceived++;
        this.#countEmptyFrame();
        this.onGoaway(
          readU31(buffer, start),
          readU32(buffer, start + 4),
          buffer.toString("latin1", start + 8, Math.min(end, start + 264)),
        );
        break;
      case FrameType.windowUpdate:
        this.#onWindowUpdate(streamId, buffer, start, length);
        break;
      default:
        // Unknown types must be ignored (RFC 9113, 4.1), but not without end.
        this.#countEmptyFrame();
    }
  }

  #checkOutsideHeaders(): void {
    if (this.#headers.isOpen) throw new Http2Error(ErrorCode.protocolError, "header block interrupted");
  }

  #finishHeaders(): void {
    const headers = this.#headers.finish();
    if (headers === undefined) return;
    const { streamId, endStream } = this.#headers;
    if (this.#headers.dependsOnItself) {
      // A stream error in RFC 7540, 5.3.1; nobody does this by mistake.
      throw new Http2Error(ErrorCode.protocolError, "stream depends on itself");
    }
    this.onHeaders(streamId, headers, endStream);
  }

  #onPriority(streamId: number, buffer: Buffer, start: number, length: number): void {
    if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, "PRIORITY on stream 0");
    this.#countEmptyFrame();
    const error =
      length !== 5
        ? ErrorCode.frameSizeError
        : readU31(buffer, start) === streamId
          ? ErrorCode.protocolError
          : ErrorCode.noError;
    if (error === ErrorCode.noError) return;
    // RST_STREAM must not be sent on an idle stream (RFC 9113, 6.4).
    if (this.isIdle(streamId)) throw new Http2Error(error, "malformed PRIORITY");
    this.resetUnknown(streamId, error);
  }

  #onRstStream(streamId: number, buffer: Buffer, start: number, length: number): void {
    if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, "RST_STREAM on stream 0");
    if (length !== 4) throw new Http2Error(ErrorCode.frameSizeError, "RST_STREAM is not 4 bytes");
    if (this.isIdle(streamId)) throw new Http2Error(ErrorCode.protocolError, "RST_STREAM on an idle stream");
    this.counters.resetsReceived++;
    if (!this.peerIsServer && !this.#resets.take(performance.now())) {
      this.counters.resetFloods++;
      throw new Http2Error(ErrorCode.enhanceYourCalm, "too many streams reset");
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) return;
    const errorCode = readU32(buffer, start);
    this.removeStream(stream, ClosedHow.resetByPeer);
    stream.onReset(errorCode);
  }

  #onSettings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new Http2Error(ErrorCode.protocolError, "SETTINGS on a stream");
    if ((flags & Flag.ack) !== 0) {
      if (end !== start) throw new Http2Error(ErrorCode.frameSizeError, "SETTINGS ACK with payload");
      if (this.#settingsAcked) this.#countEmptyFrame();
      this.#settingsAcked = true;
      return;
    }
    if (!this.#settingsFrames.take(performance.now())) {
      this.counters.settingsFloods++;
      throw new Http2Error(ErrorCode.enhanceYourCalm, "too many SETTINGS");
    }
    const settings = this.peerSettings;
    const windowBefore = settings.initialWindowSize;
    applySettings(settings, buffer, start, end, this.peerIsServer);
    this.encoder.setPeerLimit(settings.lowestHeaderTableSize);
    this.encoder.setPeerLimit(settings.headerTableSize);
    const delta = settings.initialWindowSize - windowBefore;
    if (delta !== 0) {
      for (const stream of this.streams.snapshot()) this.#growSendWindow(stream, delta);
    }
    this.isEstablished = true;
    this.out.beginFrame(0, FrameType.settings, Flag.ack, 0);
    this.onPeerSettings();
  }

  /** A settings change may shrink a window below zero, or overflow it, which ends the connection (RFC 9113, 6.9.2). */
  #growSendWindow(stream: GrpcStream, delta: number): void {
    stream.sendWindow += delta;
    if (stream.sendWindow > MAX_WINDOW) {
      throw new Http2Error(ErrorCode.flowControlError, "a stream window overflows");
    }
    if (stream.queue !== undefined) this.out.enqueue(stream);
  }

  #onPingFrame(flags: number, streamId: number, buffer: Buffer, start: number, length: number): void {
    if (streamId !== 0) throw new Http2Error(ErrorCode.protocolError, "PING on a stream");
    if (length !== 8) throw new Http2Error(ErrorCode.frameSizeError, "PING is not 8 bytes");
    if ((flags & Flag.ack) !== 0) {
      this.#countEmptyFrame();
      this.onPong();
      return;
    }
    // grpc-go measures the path by a PING for every burst of data it gets, which can be thousands a second; a flood
    // is what comes without our sending anything.
    const provoked = this.out.callFrames !== this.#callFramesAtPing;
    this.#callFramesAtPing = this.out.callFrames;
    if (!provoked && !this.#pings.take(performance.now())) {
      this.counters.pingFloods++;
      throw new Http2Error(ErrorCode.enhanceYourCalm, "too_many_pings");
    }
    this.onPing();
    const frame = this.out.beginFrame(8, FrameType.ping, Flag.ack, 0);
    buffer.copy(frame.chunk, frame.offset, start, start + 8);
  }

  #onWindowUpdate(streamId: number, buffer: Buffer, start: number, length: number): void {
    if (length !== 4) throw new Http2Error(ErrorCode.frameSizeError, "WINDOW_UPDATE is not 4 bytes");
    const increment = readU31(buffer, start);
    if (increment < TINY_INCREMENT && !this.#windowUpdates.take(performance.now())) {
      this.counters.windowUpdateFloods++;
      throw new Http2Error(ErrorCode.enhanceYourCalm, "too many tiny WINDOW_UPDATE frames");
    }
    if (streamId === 0) {
      if (increment === 0) throw new Http2Error(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      this.out.sendWindow += increment;
      if (this.out.sendWindow > MAX_WINDOW) {
        throw new Http2Error(ErrorCode.flowControlError, "connection window overflows");
      }
      this.out.wake();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId))
        throw new Http2Error(ErrorCode.protocolError, "WINDOW_UPDATE on an idle stream");
      return;
    }
    if (increment === 0) {
      this.streamError(stream, ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW) {
      this.streamError(stream, ErrorCode.flowControlError, "stream window overflows");
    } else if (stream.queue !== undefined) {
      this.out.enqueue(stream);
    }
  }

  /** A DATA or HEADERS frame on a stream that is not in the table. */
  #onClosedStreamFrame(streamId: number, frame: string): void {
    if (this.isIdle(streamId)) throw new Http2Error(ErrorCode.protocolError, `${frame} on an idle stream`);
    switch (this.closedStreams.find(streamId)) {
      case ClosedHow.ended:
        throw new Http2Error(ErrorCode.streamClosed, `${frame} on a closed stream`);
      case ClosedHow.resetByPeer:
        this.#countEmptyFrame();
        this.out.writeNumber(FrameType.rstStream, streamId, ErrorCode.streamClosed);
        break;
      default:
        // We reset it, and the peer did not know yet; or it is long forgotten. Either is what flow control allows.
        break;
    }
  }

  /** HEADERS on a stream that is not in the table and not new. */
  protected onClosedStreamHeaders(streamId: number): void {
    if (this.closedStreams.find(streamId) === ClosedHow.unknown) {
      // A server's answer may cross our reset and come when hundreds of other streams have closed since; nobody but us
      // opens streams here. A client has no such excuse: it opens a stream that it passed over.
      if (this.peerIsServer) return;
      throw new Http2Error(ErrorCode.protocolError, "stream identifier went backwards");
    }
    this.#onClosedStreamFrame(streamId, "HEADERS");
  }

  #countEmptyFrame(): void {
    if (this.#emptyFrames.take(performance.now())) return;
    this.counters.emptyFrameFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "too many frames without use");
  }

  #checkUnread(): void {
    if (this.out.unreadBytes <= this.limits.maxUnreadBytes) return;
    this.counters.unreadOutputFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "answers are not being read");
  }

  // ---- windows and budgets ----

  /** Connection credit goes back on receipt, whoever is slow (rule 40); in halves of the window, to save frames. */
  #creditConnection(bytes: number): void {
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes * 2 < this.limits.connectionWindowBytes) return;
    this.out.writeNumber(FrameType.windowUpdate, 0, this.#uncreditedBytes);
    this.#receiveWindow += this.#uncreditedBytes;
    this.#uncreditedBytes = 0;
  }

  /** Returns stream credit for what was consumed, when half a window has come together. */
  credit(stream: GrpcStream): void {
    if (stream.uncreditedBytes * 2 < this.limits.streamWindowBytes || stream.remoteEnded) return;
    this.out.writeNumber(FrameType.windowUpdate, stream.id, stream.uncreditedBytes);
    stream.receiveWindow += stream.uncreditedBytes;
    stream.uncreditedBytes = 0;
  }

  /** Asks to hold more received bytes. False: over the budget, the call must end. */
  admitHeld(bytes: number): boolean {
    this.held.add(bytes);
    if (!this.held.isExceeded) return true;
    this.counters.receiveBudgetExceeded++;
    return false;
  }

  releaseHeld(bytes: number): void {
    this.held.remove(bytes);
  }

  /** Asks to queue bytes for sending. One message may pass the budget, so that a large one is never impossible. */
  admitQueued(bytes: number): boolean {
    if (this.queued.isExceeded) {
      this.counters.sendBudgetExceeded++;
      return false;
    }
    this.queued.add(bytes);
    return true;
  }

  // ---- streams ----

  /** Enters a stream that was opened just now. */
  protected addStream(stream: GrpcStream, streamId: number): void {
    stream.id = streamId;
    stream.connection = this;
    stream.phase = StreamPhase.open;
    stream.sendWindow = this.peerSettings.initialWindowSize;
    // Until the peer has seen our SETTINGS it may use the default window.
    stream.receiveWindow = this.#settingsAcked
      ? this.limits.streamWindowBytes
      : Math.max(this.limits.streamWindowBytes, DEFAULT_WINDOW);
    this.streams.add(stream);
  }

  /** The peer ended its side of the stream. */
  endRemote(stream: GrpcStream): void {
    if (stream.phase === StreamPhase.halfClosedLocal) this.removeStream(stream, ClosedHow.ended);
    else stream.phase = StreamPhase.halfClosedRemote;
    stream.receiveEnd();
  }

  onLocalEnd(stream: GrpcStream): void {
    if (stream.phase === StreamPhase.halfClosedRemote) this.removeStream(stream, ClosedHow.ended);
    else if (stream.phase === StreamPhase.open) stream.phase = StreamPhase.halfClosedLocal;
  }

  /**
   * Takes a stream out of the table. One that did not end on both sides is aborted: what it still held, either way,
   * is dropped. One that did may still have to hand out messages.
   */
  removeStream(stream: GrpcStream, how: ClosedHow): void {
    if (!this.streams.delete(stream.id)) return;
    this.closedStreams.add(stream.id, how);
    this.queued.remove(stream.queuedBytes);
    if (how === ClosedHow.ended) stream.phase = StreamPhase.closed;
    else stream.abort();
    this.onStreamClosed(stream);
  }

  /** Resets a stream from our side; the owner of the call knows why. */
  resetStream(stream: GrpcStream, errorCode: number): void {
    if (stream.isOver) return;
    this.out.writeNumber(FrameType.rstStream, stream.id, errorCode);
    this.removeStream(stream, ClosedHow.resetByUs);
  }

  /**
   * The peer ended its side and does not want the rest of ours: resets the stream, but hands out what came.
   */
  protected endEarly(stream: GrpcStream): void {
    this.out.writeNumber(FrameType.rstStream, stream.id, ErrorCode.noError);
    this.streams.delete(stream.id);
    this.closedStreams.add(stream.id, ClosedHow.resetByUs);
    this.queued.remove(stream.queuedBytes);
    stream.queue = undefined;
    stream.endAfterQueue = false;
    stream.phase = StreamPhase.closed;
    this.onStreamClosed(stream);
    stream.receiveEnd();
  }

  /** The peer broke a rule on one stream: resets it and tells its owner. Counts as a reset of the peer's making. */
  streamError(stream: GrpcStream, errorCode: number, message: string): void {
    this.counters.streamErrors++;
    this.resetStream(stream, errorCode);
    stream.onStreamError(errorCode, message);
    this.#countProvokedReset();
  }

  /** Resets a stream that may or may not be in the table. */
  protected resetUnknown(streamId: number, errorCode: number): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      this.streamError(stream, errorCode, "stream error");
      return;
    }
    this.counters.streamErrors++;
    this.out.writeNumber(FrameType.rstStream, streamId, errorCode);
    this.closedStreams.add(streamId, ClosedHow.resetByUs);
    this.#countProvokedReset();
  }

  #countProvokedReset(): void {
    if (this.#resets.take(performance.now())) return;
    this.counters.resetFloods++;
    this.fail(ErrorCode.enhanceYourCalm, "too many streams reset");
  }

  // ---- ends ----

  /** Writes GOAWAY. */
  writeGoaway(lastStreamId: number, code: number, debug: string): void {
    this.counters.goawaysSent++;
    const bytes = Buffer.from(debug, "latin1");
    const { chunk, offset } = this.out.beginFrame(8 + bytes.length, FrameType.goaway, 0, 0);
    chunk.writeUInt32BE(lastStreamId & MAX_STREAM_ID, offset);
    chunk.writeUInt32BE(code, offset + 4);
    bytes.copy(chunk, offset + 8);
  }

  /** Ends the connection because of what the peer did: GOAWAY with the code, then close. */
  fail(code: number, message: string): void {
    if (this.state.t !== "open") return;
    this.counters.protocolErrors++;
    this.writeGoaway(this.lastPeerStreamId, code, message);
    this.#leave(message, FAIL_LINGER_MS);
  }

  /** Ends the connection in peace, after what was written. Streams still open are lost. */
  finish(reason: string): void {
    if (this.state.t === "open") this.#leave(reason, FINISH_LINGER_MS);
  }

  #leave(reason: string, lingerMs: number): void {
    this.state = { t: "closing", reason };
    this.out.end();
    const timer = setTimeout(() => this.socket.destroy(), lingerMs);
    timer.unref();
    this.socket.once("close", () => clearTimeout(timer));
    this.#loseStreams(reason);
  }

  /** Ends the connection now. */
  destroy(reason: string): void {
    this.socket.destroy();
    this.onSocketClosed(reason);
  }

  /** The socket is closed. Told once or more; the first reason counts. */
  onSocketClosed(reason: string): void {
    if (this.state.t === "closed") return;
    const first = this.state.t === "closing" ? this.state.reason : reason;
    this.state = { t: "closed", reason: first };
    this.out.drop();
    this.#loseStreams(first);
    this.counters.connectionsClosed++;
    this.onClosed(first);
  }

  #loseStreams(reason: string): void {
    for (const stream of this.streams.snapshot()) {
      this.removeStream(stream, ClosedHow.resetByUs);
      stream.onConnectionLost(reason);
    }
  }

  // ---- time ----

  onProgress(): void {
    this.#writtenAt = performance.now();
  }

  /** To be called now and then: finds what takes too long. @param now performance.now() */
  tick(now: number): void {
    if (this.state.t !== "open") return;
    const { limits, counters } = this;
    if (!this.isEstablished && now - this.#openedAt > limits.handshakeTimeoutMs) {
      counters.handshakeTimeouts++;
      this.fail(ErrorCode.settingsTimeout, "no SETTINGS in time");
    } else if (this.#headers.isOpen && now - this.#headers.openedAt > limits.headerTimeoutMs) {
      counters.continuationFloods++;
      this.fail(ErrorCode.enhanceYourCalm, "header block unfinished for too long");
    } else if (this.#isWriteStalled(now)) {
      counters.writeStalls++;
      this.destroy("peer takes no bytes");
    } else {
      this.#tickStreams(now);
      this.#tickKeepalive(now);
    }
  }

  #tickStreams(now: number): void {
    const { streamStallTimeoutMs } = this.limits;
    if (streamStallTimeoutMs === 0 || this.queued.used === 0) return;
    for (const stream of this.streams.snapshot()) {
      if (stream.stalledMs(now) <= streamStallTimeoutMs) continue;
      this.counters.streamStalls++;
      this.resetStream(stream, ErrorCode.enhanceYourCalm);
      stream.onStreamError(ErrorCode.enhanceYourCalm, "peer grants no window");
    }
  }

  #isWriteStalled(now: number): boolean {
    const { writeStallTimeoutMs } = this.limits;
    if (this.out.inFlightBytes === 0) this.#writtenAt = now;
    return writeStallTimeoutMs > 0 && now - this.#writtenAt > writeStallTimeoutMs;
  }

  #tickKeepalive(now: number): void {
    switch (this.keepalive.tick(now, this.streams.size > 0)) {
      case "ping":
        this.sendPing(KEEPALIVE_PAYLOAD);
        break;
      case "dead":
        this.counters.keepaliveTimeouts++;
        this.destroy("keepalive timeout");
        break;
      case "wait":
        break;
    }
  }

  /** Sends a PING with 8 bytes. */
  protected sendPing(payload: Uint8Array): void {
    const { chunk, offset } = this.out.beginFrame(8, FrameType.ping, 0, 0);
    chunk.set(payload, offset);
  }
}

const KEEPALIVE_PAYLOAD: Uint8Array = new Uint8Array(8);
