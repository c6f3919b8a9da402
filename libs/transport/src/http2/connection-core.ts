import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { TransportCounters } from "../counters.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import { HpackError } from "../hpack/hpack-error.ts";
import { ByteBudget } from "./byte-budget.ts";
import { ClosedHow, ClosedStreams } from "./closed-streams.ts";
import { DEFAULT_WINDOW, ErrorCode, FrameType, MAX_STREAM_ID, SettingId } from "./constants.ts";
import { FloodGuards } from "./flood-guards.ts";
import { type GrpcStream, StreamPhase } from "./grpc-stream.ts";
import { Http2Error } from "./http2-error.ts";
import { Keepalive, type KeepaliveOptions } from "./keepalive.ts";
import type { ConnectionLimits } from "./limits.ts";
import { Outbound, type OutboundOwner } from "./outbound.ts";
import { createPeerSettings, encodeSettings, type PeerSettings } from "./settings.ts";
import { StreamTable } from "./stream-table.ts";

/** A failing connection is destroyed when its GOAWAY has had this long to get out. */
const FAIL_LINGER_MS = 1000;
/** One that ends in peace may still have answers on their way to a slow reader. */
const FINISH_LINGER_MS = 30_000;

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

/**
 * What a connection is, apart from the frames that come in: its streams, windows and budgets, how it ends, and what it
 * does as time passes.
 */
export abstract class ConnectionCore implements OutboundOwner {
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
  protected readonly floods: FloodGuards;
  /** Our SETTINGS were acknowledged. */
  protected peerKnowsSettings = false;
  #receiveWindow = DEFAULT_WINDOW;
  #uncreditedBytes = 0;
  #writtenAt = performance.now();
  readonly #openedAt = performance.now();

  constructor(socket: Socket, options: ConnectionOptions, encoderTableBytes: number) {
    const { limits } = options;
    this.socket = socket;
    this.limits = limits;
    this.counters = options.counters;
    this.encoder = new HpackEncoder(encoderTableBytes);
    this.held = new ByteBudget(limits.maxHeldBytes, options.totalHeld);
    this.queued = new ByteBudget(limits.maxQueuedBytes, options.totalQueued);
    this.out = new Outbound(socket, this, this.queued, options.counters);
    this.keepalive = new Keepalive(options.keepalive);
    this.floods = new FloodGuards(limits, options.counters);
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

  /** A stream left the table. */
  protected abstract onStreamClosed(stream: GrpcStream): void;
  /** The connection is closed and all its streams were told. */
  protected abstract onClosed(reason: string): void;
  /** Highest stream of the peer that we looked at, for GOAWAY. */
  protected abstract readonly lastPeerStreamId: number;
  /** For how long a header block has been unfinished; 0 when none is. */
  protected abstract headerBlockAgeMs(now: number): number;
  /** Bytes were handed to the socket. */
  abstract onHandedOver(): void;

  // ---- windows and budgets ----

  /** Takes received bytes off the connection's window. @throws Http2Error when the peer had no right to send them */
  protected takeFromWindow(bytes: number): void {
    this.#receiveWindow -= bytes;
    if (this.#receiveWindow < 0) {
      throw new Http2Error(ErrorCode.flowControlError, "connection window exceeded");
    }
    this.#creditConnection(bytes);
  }

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
    stream.receiveWindow = this.peerKnowsSettings
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

  /** May be called outside of reading, so it ends the connection itself. */
  #countProvokedReset(): void {
    try {
      this.floods.onReset();
    } catch (error) {
      this.failBy(error);
    }
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

  /** Ends the connection because of an error of the peer. @throws what is not such an error */
  protected failBy(error: unknown): void {
    if (error instanceof Http2Error) this.fail(error.code, error.message);
    else if (error instanceof HpackError) this.fail(ErrorCode.compressionError, error.message);
    else throw error;
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
    } else if (this.#isAckOverdue(now)) {
      counters.settingsAckTimeouts++;
      this.fail(ErrorCode.settingsTimeout, "SETTINGS were not acknowledged in time");
    } else if (this.headerBlockAgeMs(now) > limits.headerTimeoutMs) {
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

  /** Until the peer knows our SETTINGS, its windows and ours may differ: that must not last (RFC 9113, 6.5.3). */
  #isAckOverdue(now: number): boolean {
    const { settingsAckTimeoutMs } = this.limits;
    return settingsAckTimeoutMs > 0 && !this.peerKnowsSettings && now - this.#openedAt > settingsAckTimeoutMs;
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
