import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { formatTimeout } from "../grpc/timeout.ts";
import { Indexing as Index, type Indexing } from "../hpack/encoder.ts";
import { blockWriter } from "../http2/block-writer.ts";
import { ClosedHow } from "../http2/closed-streams.ts";
import { Connection } from "../http2/connection.ts";
import type { ConnectionOptions } from "../http2/connection-core.ts";
import { CLIENT_PREFACE, ErrorCode, MAX_STREAM_ID, SettingId } from "../http2/constants.ts";
import { type GrpcStream, StreamPhase } from "../http2/grpc-stream.ts";
import type { HeaderList } from "../http2/header-list.ts";
import type { ClientCall } from "./client-call.ts";

/** What a channel gives to each of its connections. */
export interface ClientConnectionOptions extends Omit<ConnectionOptions, "settings" | "preface"> {
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly userAgent: string;
  /** The server's SETTINGS came: calls may be sent. */
  readonly onReady: (connection: ClientConnection) => void;
  /** It takes no new calls any more. */
  readonly onGoingAway: (connection: ClientConnection) => void;
  /** The server found that we ping too often. */
  readonly onTooManyPings: () => void;
  /** A call ended or the limit rose: there may be room. */
  readonly onRoom: (connection: ClientConnection) => void;
  readonly onClosed: (connection: ClientConnection, reason: string) => void;
}

/** Metadata that repeats from call to call and is worth a place in the table; all else goes as plain literals. */
const indexedNames: ReadonlySet<string> = new Set([
  "token",
  "authorization",
  "hasleader",
  "client-api-version",
  "user-agent",
]);

/** What each field counts beyond its characters (RFC 9113, 6.5.2). */
const ENTRY_OVERHEAD_BYTES = 32;
/** Names, fixed values and overhead of the fields that every call has, a timeout included. */
const COMMON_LIST_BYTES = 8 * ENTRY_OVERHEAD_BYTES + 120;

/** A client of a proxy may make paths up. */
const MAX_REMEMBERED_PATHS = 64;

/** One connection to a server. */
export class ClientConnection extends Connection {
  protected readonly peerIsServer = true;
  protected readonly lastPeerStreamId = 0;
  readonly #options: ClientConnectionOptions;
  #nextStreamId = 1;
  #handedOverStreamId = 0;
  readonly #commonFields = new Map<string, { readonly generation: number; readonly fields: Buffer }>();
  #isGoingAway = false;
  #isReady = false;

  constructor(socket: Socket, options: ClientConnectionOptions) {
    super(socket, { ...options, preface: CLIENT_PREFACE, settings: [[SettingId.enablePush, 0]] }, 4096);
    this.#options = options;
  }

  /** Another call can be sent now. */
  get hasRoom(): boolean {
    return (
      this.state.t === "open" &&
      this.isEstablished &&
      !this.#isGoingAway &&
      this.streams.size < this.peerSettings.maxConcurrentStreams
    );
  }

  /** The server said GOAWAY, or identifiers ran out: what is open ends in peace. */
  get isGoingAway(): boolean {
    return this.#isGoingAway;
  }

  /** Whether any byte of the stream was handed to the socket. */
  wasHandedOver(streamId: number): boolean {
    return streamId !== 0 && streamId <= this.#handedOverStreamId;
  }

  onHandedOver(): void {
    this.#handedOverStreamId = this.#nextStreamId - 2;
  }

  /** Whether the server announced that it would refuse headers of this size (SETTINGS_MAX_HEADER_LIST_SIZE). */
  isTooLarge(call: ClientCall): boolean {
    const { maxHeaderListSize } = this.peerSettings;
    if (maxHeaderListSize === Number.POSITIVE_INFINITY) return false;
    const { authority, userAgent } = this.#options;
    let bytes = COMMON_LIST_BYTES + call.path.length + authority.length + userAgent.length;
    for (const text of call.metadata) bytes += text.length + ENTRY_OVERHEAD_BYTES / 2;
    return bytes > maxHeaderListSize;
  }

  /** Sends the call's headers and what it has queued. The caller has checked `hasRoom` and the deadline. */
  start(call: ClientCall, remainingMs: number | undefined): void {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    const { encoder } = this;
    blockWriter.begin(encoder);
    this.#addCommonFields(call.path);
    if (remainingMs !== undefined) {
      blockWriter.addIndexed(encoder, "grpc-timeout", formatTimeout(remainingMs), Index.without);
    }
    let agentGiven = false;
    for (let i = 0; i < call.metadata.length; i += 2) {
      const name = call.metadata[i] as string;
      const indexing: Indexing = indexedNames.has(name) ? Index.incremental : Index.without;
      agentGiven ||= name === "user-agent";
      blockWriter.addIndexed(encoder, name, call.metadata[i + 1] as string, indexing);
    }
    if (!agentGiven) {
      blockWriter.addIndexed(encoder, "user-agent", this.#options.userAgent, Index.incremental);
    }
    this.counters.callsStarted++;
    this.addStream(call, streamId);
    this.out.writeHeaderBlock(streamId, blockWriter.buffer, blockWriter.length, false);
    this.queued.add(call.queuedBytes);
    if (call.queuedBytes > 0) this.out.enqueue(call);
    else if (call.endAfterQueue) call.writeEnd();
    if (streamId + 2 > MAX_STREAM_ID) this.#goAway();
  }

  /** The fields every call to a path has. They are soon all in the table, and then the same bytes again and again. */
  #addCommonFields(path: string): void {
    const { encoder } = this;
    const known = this.#commonFields.get(path);
    if (known !== undefined && known.generation === encoder.generation) {
      blockWriter.addEncoded(known.fields);
      return;
    }
    const { scheme, authority } = this.#options;
    const { generation } = encoder;
    const start = blockWriter.length;
    blockWriter.addIndexed(encoder, ":method", "POST", Index.incremental);
    blockWriter.addIndexed(encoder, ":scheme", scheme, Index.incremental);
    blockWriter.addIndexed(encoder, ":path", path, Index.incremental);
    blockWriter.addIndexed(encoder, ":authority", authority, Index.incremental);
    blockWriter.addIndexed(encoder, "content-type", "application/grpc", Index.incremental);
    blockWriter.addIndexed(encoder, "te", "trailers", Index.incremental);
    if (generation !== encoder.generation) return;
    if (this.#commonFields.size >= MAX_REMEMBERED_PATHS) this.#commonFields.clear();
    const fields = Buffer.from(blockWriter.buffer.subarray(start, blockWriter.length));
    this.#commonFields.set(path, { generation, fields });
  }

  protected isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId >= this.#nextStreamId;
  }

  protected onHeaders(streamId: number, headers: HeaderList, endStream: boolean): void {
    const call = this.streams.get(streamId) as ClientCall | undefined;
    if (call === undefined) {
      if (this.isIdle(streamId)) this.fail(ErrorCode.protocolError, "HEADERS on an idle stream");
      else this.onClosedStreamHeaders(streamId);
      return;
    }
    if (call.remoteEnded) {
      this.streamError(call, ErrorCode.streamClosed, "HEADERS after END_STREAM");
      return;
    }
    call.onHeaders(headers, endStream);
    if (!endStream || call.isOver) return;
    // The answer may be complete though we are not: then what is left of our request is not wanted.
    if (call.phase === StreamPhase.halfClosedLocal) this.endRemote(call);
    else this.endEarly(call);
  }

  protected onGoaway(lastStreamId: number, code: number, debug: string): void {
    if (code === ErrorCode.enhanceYourCalm && debug === "too_many_pings") this.#options.onTooManyPings();
    for (const stream of this.streams.snapshot()) {
      if (stream.id <= lastStreamId) continue;
      this.removeStream(stream, ClosedHow.resetByUs);
      (stream as ClientCall).onExcluded();
    }
    this.#goAway();
    if (this.streams.size === 0) this.finish(`server is going away: ${debug}`);
  }

  #goAway(): void {
    if (this.#isGoingAway) return;
    this.#isGoingAway = true;
    this.#options.onGoingAway(this);
  }

  /** Takes no more calls; closes when those it has are over. */
  retire(): void {
    this.#goAway();
    if (this.streams.size === 0) this.finish("no longer needed");
  }

  protected onPing(): void {
    // A server may ping as it likes, within the flood limit.
  }

  protected onPong(): void {
    // Anything received counts as the answer to a keepalive.
  }

  protected onPeerSettings(): void {
    if (!this.#isReady) {
      this.#isReady = true;
      this.#options.onReady(this);
    } else if (this.hasRoom) {
      this.#options.onRoom(this);
    }
  }

  protected onStreamClosed(_stream: GrpcStream): void {
    this.counters.callsEnded++;
    if (this.#isGoingAway && this.streams.size === 0 && this.state.t === "open")
      this.finish("server went away");
    else if (this.hasRoom) this.#options.onRoom(this);
  }

  protected onClosed(reason: string): void {
    this.#options.onClosed(this, reason);
  }
}
