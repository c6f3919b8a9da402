import { Buffer } from "node:buffer";
import { readU24, readU31 } from "./bytes.ts";
import { ErrorCode, Flag, FRAME_HEADER_BYTES, FRAME_PAYLOAD_LIMIT, FrameType } from "./constants.ts";
import { Http2Error } from "./http2-error.ts";

/**
 * What a connection does with frames. DATA comes in pieces as it arrives, every other frame whole. Buffers are the
 * chunks given to `read`, or, for a frame that was cut, a copy; nothing is valid longer than the call unless the
 * caller of `read` keeps its chunks alive.
 */
export interface FrameHandler {
  /** A DATA frame begins; `length` is what flow control counts. */
  onDataStart(streamId: number, length: number): void;
  /** Some of its data, without padding; `endsStream` on the last piece of a frame that ends its stream, if known by then. */
  onDataPiece(buffer: Buffer, start: number, end: number, endsStream: boolean): void;
  /** All of it was seen, padding too. */
  onDataEnd(endStream: boolean): void;
  /** Any other frame, its payload in `buffer[start, end)`. */
  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void;
}

/**
 *   header ──DATA──► pad length (if padded) ──► data ──► padding ──► header
 *      └─────any other, incomplete─────► partial ──► header
 */
const State = { header: 0, padLength: 1, data: 2, padding: 3, partial: 4 } as const;
type State = (typeof State)[keyof typeof State];

/** Cuts a byte stream into frames (RFC 9113, section 4), in place: whole frames cause no copy and no object. */
export class FrameReader {
  readonly #handler: FrameHandler;
  #state: State = State.header;
  /** Start of a frame that a chunk did not hold to its end. */
  #partial: Buffer | undefined;
  #partialLength = 0;
  #dataLeft = 0;
  #paddingLeft = 0;
  #endStream = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** A frame has begun and is not yet whole. */
  get isInsideFrame(): boolean {
    return this.#state !== State.header || this.#partialLength > 0;
  }

  /** Feeds the next bytes. @throws Http2Error for a frame of impossible size or padding, and what the handler throws. */
  read(chunk: Buffer): void {
    let position = 0;
    const end = chunk.length;
    if (this.#partialLength > 0) position = this.#continuePartial(chunk);
    while (position < end) {
      if (this.#state !== State.header) {
        position = this.#continueData(chunk, position);
        continue;
      }
      if (end - position < FRAME_HEADER_BYTES) {
        this.#keep(chunk, position, FRAME_HEADER_BYTES);
        return;
      }
      const length = readU24(chunk, position);
      checkLength(length);
      const type = chunk[position + 3] as number;
      const bodyStart = position + FRAME_HEADER_BYTES;
      if (type === FrameType.data) {
        this.#startData(length, chunk[position + 4] as number, readU31(chunk, position + 5));
        position = bodyStart;
        if (length === 0) this.#finishData();
        continue;
      }
      if (end - bodyStart < length) {
        this.#keep(chunk, position, FRAME_HEADER_BYTES + length);
        return;
      }
      position = bodyStart + length;
      this.#handler.onFrame(
        type,
        chunk[bodyStart - 5] as number,
        readU31(chunk, bodyStart - 4),
        chunk,
        bodyStart,
        position,
      );
    }
  }

  #keep(chunk: Buffer, position: number, needed: number): void {
    const partial = Buffer.allocUnsafe(needed);
    this.#partialLength = chunk.copy(partial, 0, position);
    this.#partial = partial;
  }

  /** Adds to the partial frame what it lacks; returns how far the chunk was used. */
  #continuePartial(chunk: Buffer): number {
    let partial = this.#partial as Buffer;
    let position = 0;
    for (;;) {
      const take = Math.min(partial.length - this.#partialLength, chunk.length - position);
      chunk.copy(partial, this.#partialLength, position, position + take);
      this.#partialLength += take;
      position += take;
      if (this.#partialLength < partial.length) return position;
      const length = readU24(partial, 0);
      const type = partial[3] as number;
      checkLength(length);
      if (type === FrameType.data || partial.length === FRAME_HEADER_BYTES + length) break;
      // So far this was the frame header alone.
      const whole = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
      partial.copy(whole);
      partial = whole;
      this.#partial = whole;
    }
    this.#partial = undefined;
    this.#partialLength = 0;
    const type = partial[3] as number;
    const flags = partial[4] as number;
    const streamId = readU31(partial, 5);
    if (type === FrameType.data) {
      const length = readU24(partial, 0);
      this.#startData(length, flags, streamId);
      if (length === 0) this.#finishData();
    } else {
      this.#handler.onFrame(type, flags, streamId, partial, FRAME_HEADER_BYTES, partial.length);
    }
    return position;
  }

  #startData(length: number, flags: number, streamId: number): void {
    this.#endStream = (flags & Flag.endStream) !== 0;
    this.#dataLeft = length;
    this.#paddingLeft = 0;
    this.#state = State.data;
    if ((flags & Flag.padded) !== 0) {
      if (length === 0) throw new Http2Error(ErrorCode.frameSizeError, "padded DATA without a pad length");
      this.#state = State.padLength;
    }
    this.#handler.onDataStart(streamId, length);
  }

  #continueData(chunk: Buffer, from: number): number {
    let position = from;
    if (this.#state === State.padLength) {
      const padding = chunk[position++] as number;
      if (padding >= this.#dataLeft)
        throw new Http2Error(ErrorCode.protocolError, "DATA padding exceeds frame");
      this.#dataLeft -= padding + 1;
      this.#paddingLeft = padding;
      this.#state = State.data;
    }
    if (this.#state === State.data && this.#dataLeft > 0) {
      const stop = Math.min(chunk.length, position + this.#dataLeft);
      if (stop > position) {
        this.#dataLeft -= stop - position;
        const endsStream = this.#endStream && this.#dataLeft + this.#paddingLeft === 0;
        this.#handler.onDataPiece(chunk, position, stop, endsStream);
        position = stop;
      }
    }
    if (this.#dataLeft > 0) return position;
    this.#state = State.padding;
    const skip = Math.min(this.#paddingLeft, chunk.length - position);
    this.#paddingLeft -= skip;
    if (this.#paddingLeft === 0) this.#finishData();
    return position + skip;
  }

  #finishData(): void {
    this.#state = State.header;
    this.#handler.onDataEnd(this.#endStream);
  }
}

function checkLength(length: number): void {
  if (length > FRAME_PAYLOAD_LIMIT) {
    throw new Http2Error(ErrorCode.frameSizeError, `frame of ${length} bytes exceeds ${FRAME_PAYLOAD_LIMIT}`);
  }
}
