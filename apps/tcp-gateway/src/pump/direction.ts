import type { OnReadOpts, Socket } from "node:net";
import type { BufferPool } from "./buffer-pool.ts";

/**
 * Sizes of read buffers: the next read gets the smallest that is larger than what the last one brought. So connections
 * that carry requests hold 4 KiB a direction, and only those that are in the middle of something large hold the largest.
 */
const smallBufferBytes = 4 * 1024;
const mediumBufferBytes = 64 * 1024;
export const largeBufferBytes = 512 * 1024;

function bufferBytesAfter(count: number): number {
  if (count < smallBufferBytes) return smallBufferBytes;
  return count < mediumBufferBytes ? mediumBufferBytes : largeBufferBytes;
}

/**
 * Bytes on their way from one socket to another. Reads land in pooled buffers (`onread`) and are written on at once:
 * nothing is copied, and in the common case nothing is allocated. When the receiver does not keep up, reading stops
 * until it has drained.
 */
export class Direction {
  readonly #pool: BufferPool;
  readonly #onBytes: (count: number) => void;
  #buffer: Buffer;
  #source: Socket | undefined;
  #sink: Socket | undefined;
  /** Bytes moved so far. */
  bytes = 0;

  /** `onBytes` hears of every read. */
  constructor(pool: BufferPool, onBytes: (count: number) => void) {
    this.#pool = pool;
    this.#onBytes = onBytes;
    this.#buffer = pool.take(smallBufferBytes);
  }

  /** To be given to the source socket when it is made. No read may arrive before {@link connect}. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#buffer,
    callback: (count) => this.#onRead(count),
  };

  /** Names both ends. `byEvents`: the source could not be made with `onread`, its `data` events are used. */
  connect(source: Socket, sink: Socket, { byEvents = false }: { byEvents?: boolean } = {}): void {
    this.#source = source;
    this.#sink = sink;
    sink.on("drain", () => source.resume());
    // Half-close: the other direction goes on. A source read before may have ended already.
    if (source.readableEnded) sink.end();
    else source.once("end", () => sink.end());
    source.once("close", () => this.#pool.give(this.#buffer));
    if (byEvents) source.on("data", (chunk: Buffer) => this.#onData(chunk));
  }

  #onRead(count: number): boolean {
    const sink = this.#sink;
    if (sink === undefined) return true;
    this.bytes += count;
    this.#onBytes(count);
    const buffer = this.#buffer;
    const chunk = count === buffer.length ? buffer : buffer.subarray(0, count);
    const nextBytes = bufferBytesAfter(count);
    if (nextBytes > smallBufferBytes) {
      // Bulk: lent until it is written. Fresh buffers of this size would cost more than everything else here.
      this.#buffer = this.#pool.take(nextBytes);
      return sink.write(chunk, () => this.#pool.give(buffer)) || sink.writableLength === 0;
    }
    const hasRoom = sink.write(chunk);
    // If the kernel took it all the buffer is free at once, without a callback. If not, it is left to the collector.
    const isFree = sink.writableLength === 0;
    if (isFree && buffer.length === smallBufferBytes) return hasRoom;
    if (isFree) this.#pool.give(buffer);
    this.#buffer = this.#pool.take(smallBufferBytes);
    return hasRoom;
  }

  #onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#onBytes(chunk.length);
    if (this.#sink?.write(chunk) === false) this.#source?.pause();
  }
}
