import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { readU31, readU32 } from "./bytes.ts";
import { ClosedHow } from "./closed-streams.ts";
import { ConnectionCore, type ConnectionOptions } from "./connection-core.ts";
import { ErrorCode, Flag, FrameType, MAX_WINDOW } from "./constants.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import { type GrpcStream, StreamPhase } from "./grpc-stream.ts";
import { HeaderAssembler } from "./header-assembler.ts";
import type { HeaderList } from "./header-list.ts";
import { Http2Error } from "./http2-error.ts";
import { applySettings } from "./settings.ts";

/** A connection and the frames that come in (RFC 9113, sections 4 to 6), as both roles have them. */
export abstract class Connection extends ConnectionCore implements FrameHandler {
  readonly #reader: FrameReader = new FrameReader(this);
  readonly #headers: HeaderAssembler;
  #dataStream: GrpcStream | undefined = undefined;
  #dataLength = 0;

  constructor(socket: Socket, options: ConnectionOptions, encoderTableBytes: number) {
    super(socket, options, encoderTableBytes);
    this.#headers = new HeaderAssembler(options.limits, options.counters);
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
  protected abstract readonly peerIsServer: boolean;

  // ---- bytes in ----

  /** Feeds bytes from the socket. */
  read(chunk: Buffer): void {
    if (this.state.t !== "open") return;
    this.counters.bytesReceived += chunk.length;
    this.watchdog.onReceived();
    try {
      this.#reader.read(chunk);
      this.#checkUnread();
    } catch (error) {
      this.failBy(error);
    }
  }

  onDataStart(streamId: number, length: number): void {
    this.#dataStream = undefined;
    if (this.state.t !== "open") return;
    this.#checkOutsideHeaders();
    if (streamId === 0) throw new Http2Error(ErrorCode.protocolError, "DATA on stream 0");
    this.takeFromWindow(length);
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
    if (this.#dataLength === 0 && !endStream) this.floods.onEmptyFrame();
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
        this.floods.onEmptyFrame();
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
        this.floods.onEmptyFrame();
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
    this.floods.onEmptyFrame();
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
    if (!this.peerIsServer) this.floods.onReset();
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
      if (this.peerKnowsSettings) this.floods.onEmptyFrame();
      this.peerKnowsSettings = true;
      return;
    }
    this.floods.onSettings();
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
      this.floods.onEmptyFrame();
      this.onPong();
      return;
    }
    this.floods.onPing(this.out.callFrames);
    this.onPing();
    this.out.writePingAck(buffer.subarray(start, start + 8));
  }

  #onWindowUpdate(streamId: number, buffer: Buffer, start: number, length: number): void {
    if (length !== 4) throw new Http2Error(ErrorCode.frameSizeError, "WINDOW_UPDATE is not 4 bytes");
    const increment = readU31(buffer, start);
    const stream = streamId === 0 ? undefined : this.streams.get(streamId);
    this.floods.onWindowUpdate(increment, (stream ?? this.out).sendWindow, this.out.callFrames);
    if (streamId === 0) {
      if (increment === 0) throw new Http2Error(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      this.out.sendWindow += increment;
      if (this.out.sendWindow > MAX_WINDOW) {
        throw new Http2Error(ErrorCode.flowControlError, "connection window overflows");
      }
      this.out.wake();
      return;
    }
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
        this.floods.onEmptyFrame();
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

  #checkUnread(): void {
    if (this.out.unreadBytes <= this.limits.maxUnreadBytes) return;
    this.counters.unreadOutputFloods++;
    throw new Http2Error(ErrorCode.enhanceYourCalm, "answers are not being read");
  }

  protected headerBlockAgeMs(now: number): number {
    return this.#headers.isOpen ? now - this.#headers.openedAt : 0;
  }
}
