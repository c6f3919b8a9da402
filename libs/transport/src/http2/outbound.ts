import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { TransportCounters } from "../counters.ts";
import { PREFIX_BYTES } from "../grpc/partial-message.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { writeFrameHeader, writeU32 } from "./bytes.ts";
import { DEFAULT_WINDOW, Flag, FRAME_HEADER_BYTES, FRAME_PAYLOAD_LIMIT, FrameType } from "./constants.ts";
import type { GrpcStream } from "./grpc-stream.ts";
import { ReadyRing, type Sender } from "./ready-ring.ts";
import { repeatFrame } from "./repeat-frame.ts";
import { SocketWriter, WRITE_AHEAD_BYTES } from "./socket-writer.ts";

/** So much of one message for many streams goes out before others have their turn. */
const FAN_TURN_BYTES = 64 * 1024;

/** What the sending half asks of its connection. */
export interface OutboundOwner {
  /** END_STREAM was written for the stream. */
  onLocalEnd(stream: GrpcStream): void;
  /** Bytes were handed to the socket. */
  onHandedOver(): void;
  /** The kernel took bytes. */
  onProgress(): void;
}

/**
 * The sending half of a connection: frames, the peer's windows, and whose turn it is. Small messages go straight
 * into the output while nobody waits; else streams take turns of one frame (rule 40).
 */
export class Outbound {
  /** What the peer lets us send on the whole connection. */
  sendWindow: number = DEFAULT_WINDOW;
  /** HEADERS and DATA frames written so far. */
  callFrames = 0;
  /** Bytes waiting in the queues of all streams. */
  readonly #queued: ByteBudget;
  readonly #writer: SocketWriter;
  readonly #owner: OutboundOwner;
  readonly #ready: ReadyRing = new ReadyRing();
  #drained: GrpcStream[] = [];

  constructor(socket: Socket, owner: OutboundOwner, queued: ByteBudget, counters: TransportCounters) {
    this.#owner = owner;
    this.#queued = queued;
    this.#writer = new SocketWriter(
      socket,
      {
        onBeforeWrite: () => this.#pump(),
        onHandedOver: () => owner.onHandedOver(),
        onWritten: () => {
          owner.onProgress();
          if (!this.#ready.isEmpty) this.#writer.schedule();
        },
      },
      counters,
    );
  }

  /** Bytes written by us that the kernel has not taken. */
  get unreadBytes(): number {
    return this.#writer.aheadBytes;
  }

  /** Bytes handed to the socket that the kernel has not taken. */
  get inFlightBytes(): number {
    return this.#writer.inFlightBytes;
  }

  /** Room for a frame with a payload of `length` bytes: writes its header and returns the chunk and payload offset. */
  beginFrame(
    length: number,
    type: number,
    flags: number,
    streamId: number,
  ): { chunk: Buffer; offset: number } {
    this.#writer.schedule();
    return this.#placeFrame(length, type, flags, streamId);
  }

  /** Answers a PING of 8 bytes: along with what is written next, or within a millisecond or two. */
  writePingAck(ping: Uint8Array): void {
    this.#writer.scheduleLater();
    const { chunk, offset } = this.#placeFrame(8, FrameType.ping, Flag.ack, 0);
    chunk.set(ping, offset);
  }

  #placeFrame(
    length: number,
    type: number,
    flags: number,
    streamId: number,
  ): { chunk: Buffer; offset: number } {
    const output = this.#writer.output;
    output.reserve(FRAME_HEADER_BYTES + length);
    const offset = output.position + FRAME_HEADER_BYTES;
    writeFrameHeader(output.chunk, output.position, length, type, flags, streamId);
    output.position = offset + length;
    return { chunk: output.chunk, offset };
  }

  /** Writes ready-made frames; with `streamId` given it is patched into the first of them. */
  writeFrames(frames: Buffer, streamId?: number): void {
    const output = this.#writer.output;
    output.reserve(frames.length);
    frames.copy(output.chunk, output.position);
    if (streamId !== undefined) {
      writeU32(output.chunk, output.position + 5, streamId);
      this.callFrames++;
    }
    output.position += frames.length;
    this.#writer.schedule();
  }

  /** Writes a header block as HEADERS and, where it is long, CONTINUATION frames. */
  writeHeaderBlock(streamId: number, block: Buffer, length: number, endStream: boolean): void {
    let type: number = FrameType.headers;
    let sent = 0;
    this.callFrames++;
    do {
      const take = Math.min(length - sent, FRAME_PAYLOAD_LIMIT);
      const last = sent + take === length;
      const flags =
        (last ? Flag.endHeaders : 0) | (endStream && type === FrameType.headers ? Flag.endStream : 0);
      const { chunk, offset } = this.beginFrame(take, type, flags, streamId);
      block.copy(chunk, offset, sent, sent + take);
      sent += take;
      type = FrameType.continuation;
    } while (sent < length);
  }

  /** Writes RST_STREAM, WINDOW_UPDATE: frames of one 32-bit number. */
  writeNumber(type: number, streamId: number, value: number): void {
    const { chunk, offset } = this.beginFrame(4, type, 0, streamId);
    writeU32(chunk, offset, value);
  }

  /** Sends a message at once, in one DATA frame, if nothing stands in the way. Hot: no objects, one copy. */
  trySendMessage(stream: GrpcStream, head: Uint8Array, body: Uint8Array, end: boolean): boolean {
    const length = head.length + body.length;
    if (!this.#canSend(stream, length + PREFIX_BYTES)) return false;
    const output = this.#writer.output;
    let position = this.#beginData(stream, length + PREFIX_BYTES, end && stream.endsWithData);
    const chunk = output.chunk;
    chunk[position] = 0;
    writeU32(chunk, position + 1, length);
    position += PREFIX_BYTES;
    if (head.length > 0) {
      chunk.set(head, position);
      position += head.length;
    }
    chunk.set(body, position);
    if (end && stream.endsWithData) this.#owner.onLocalEnd(stream);
    return true;
  }

  /** The same for bytes that are whole messages already. */
  trySendFramed(stream: GrpcStream, framed: Uint8Array): boolean {
    if (!this.#canSend(stream, framed.length)) return false;
    const position = this.#beginData(stream, framed.length, false);
    this.#writer.output.chunk.set(framed, position);
    return true;
  }

  /**
   * Sends one message to many streams, a DATA frame each, for as long as the connection takes more, and at most a turn's
   * worth. Hot: the frames are copies of one another, and all that is touched of a stream is its windows.
   *
   * @param framed a whole message, no longer than a frame may be
   * @param blocked gets the indices of streams that are passed over, because they can take nothing now
   * @returns the index of the first stream that was not reached
   */
  sendToEach(streams: readonly GrpcStream[], framed: Uint8Array, from: number, blocked: number[]): number {
    const { output } = this.#writer;
    const bytes = framed.length;
    const size = FRAME_HEADER_BYTES + bytes;
    let index = from;
    let budget = FAN_TURN_BYTES;
    while (index < streams.length && budget > 0 && this.sendWindow >= bytes) {
      if (this.#writer.aheadBytes >= WRITE_AHEAD_BYTES) break;
      output.reserve(size);
      const { chunk, position } = output;
      const room = Math.min(chunk.length - position, Math.max(size, budget));
      let left = Math.min(
        Math.floor(room / size),
        Math.floor(this.sendWindow / bytes),
        streams.length - index,
      );
      repeatFrame(chunk, position, framed, left);
      let at = position;
      for (; left > 0 && index < streams.length; index++) {
        const stream = streams[index] as GrpcStream;
        if (!stream.takesAtOnce(bytes)) {
          blocked.push(index);
          continue;
        }
        stream.sendWindow -= bytes;
        writeU32(chunk, at + 5, stream.id);
        at += size;
        left--;
      }
      const sent = (at - position) / size;
      output.position = at;
      this.sendWindow -= sent * bytes;
      this.callFrames += sent;
      budget -= at - position;
    }
    if (index > from) this.#writer.schedule();
    return index;
  }

  #canSend(stream: GrpcStream, bytes: number): boolean {
    return (
      bytes <= FRAME_PAYLOAD_LIMIT &&
      bytes <= stream.sendWindow &&
      bytes <= this.sendWindow &&
      this.#ready.isEmpty &&
      this.#writer.aheadBytes < WRITE_AHEAD_BYTES
    );
  }

  /** Writes the header of a DATA frame and takes its bytes off the windows; returns the payload's offset. */
  #beginData(stream: GrpcStream, bytes: number, end: boolean): number {
    const output = this.#writer.output;
    output.reserve(FRAME_HEADER_BYTES + bytes);
    const offset = output.position + FRAME_HEADER_BYTES;
    const flags = end ? Flag.endStream : 0;
    writeFrameHeader(output.chunk, output.position, bytes, FrameType.data, flags, stream.id);
    output.position = offset + bytes;
    stream.sendWindow -= bytes;
    this.sendWindow -= bytes;
    this.callFrames++;
    this.#writer.schedule();
    return offset;
  }

  /** Ends our side of a stream by an empty DATA frame, which needs no window. */
  writeEmptyEnd(stream: GrpcStream): void {
    this.beginFrame(0, FrameType.data, Flag.endStream, stream.id);
    this.callFrames++;
    this.#owner.onLocalEnd(stream);
  }

  /** The stream has queued bytes, or an end to write, and perhaps window for them. */
  enqueue(stream: GrpcStream): void {
    if (stream.queuedBytes > 0 && stream.sendWindow <= 0) return;
    this.#ready.push(stream);
    this.#writer.schedule();
  }

  /** Somebody wants a turn. */
  enqueueSender(sender: Sender): void {
    this.#ready.push(sender);
    this.#writer.schedule();
  }

  /** The connection's window grew. */
  wake(): void {
    if (!this.#ready.isEmpty) this.#writer.schedule();
  }

  /** Writes now; else it happens at the end of the turn. */
  flush(): void {
    this.#writer.flush();
  }

  /** Writes what there is and closes our side of the socket. */
  end(): void {
    this.#writer.end();
  }

  /** Forgets what there is. */
  drop(): void {
    this.#writer.drop();
  }

  #pump(): void {
    while (this.#writer.aheadBytes < WRITE_AHEAD_BYTES) {
      const sender = this.#ready.shift();
      if (sender === undefined) break;
      // Who found too little connection window keeps a place for the next time.
      if (sender.takeTurn(this)) {
        if (this.sendWindow <= 0 && sender.isReady) break;
      } else {
        this.#ready.push(sender);
        break;
      }
    }
    if (this.#drained.length === 0) return;
    const drained = this.#drained;
    this.#drained = [];
    for (const stream of drained) stream.onWritable();
  }

  /** Sends a frame of what the stream has queued, or its end. */
  sendTurn(stream: GrpcStream): void {
    const queue = stream.queue;
    if (queue !== undefined) {
      const bytes = Math.min(queue.length, FRAME_PAYLOAD_LIMIT, stream.sendWindow, this.sendWindow);
      if (bytes > 0) {
        const last = bytes === queue.length;
        const end = last && stream.endAfterQueue && stream.endsWithData;
        const position = this.#beginData(stream, bytes, end);
        queue.moveTo(this.#writer.output.chunk, position, bytes);
        this.#queued.remove(bytes);
        if (end) {
          stream.queue = undefined;
          this.#owner.onLocalEnd(stream);
          return;
        }
      }
      if (queue.length > 0) {
        if (stream.sendWindow > 0) this.#ready.push(stream);
        if (bytes > 0 && stream.takeDrain()) this.#drained.push(stream);
        return;
      }
      stream.queue = undefined;
    }
    if (stream.endAfterQueue) stream.writeEnd();
    else if (stream.takeDrain()) this.#drained.push(stream);
  }
}
