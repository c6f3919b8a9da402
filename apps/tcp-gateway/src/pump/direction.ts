import type { OnReadOpts, Socket } from "node:net";
import type { BufferPool } from "./buffer-pool.ts";

/** Idle connections hold one small buffer per direction; a read that fills it gets the large one next time. */
const smallBufferBytes = 4 * 1024;
export const largeBufferBytes = 256 * 1024;

/**
 * Bytes on their way from one socket to another. Reads land in pooled buffers (`onread`), each is written on at once,
 * and a buffer that the kernel took whole is used for the next read: in the common case nothing is allocated or copied.
 * When the receiver does not keep up, reading stops until it has drained.
 */
export class Direction {
  readonly #pool: BufferPool;
  readonly #onBytes: (count: number) => void;
  #buffer: Buffer;
  #source: Socket | undefined;
  #sink: Socket | undefined;

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
    source.once("end", () => sink.end()); // half-close: the other direction goes on
    source.once("close", () => this.#pool.give(this.#buffer));
    if (byEvents) source.on("data", (chunk: Buffer) => this.#onData(chunk));
  }

  #onRead(count: number): boolean {
    const sink = this.#sink;
    if (sink === undefined) return true;
    this.#onBytes(count);
    const buffer = this.#buffer;
    const hasRoom = sink.write(count === buffer.length ? buffer : buffer.subarray(0, count));
    if (sink.writableLength === 0) {
      this.#adapt(count);
      return true;
    }
    // The kernel did not take it all: the buffer is lent until the rest is written, and then left to the collector.
    this.#buffer = this.#pool.take(buffer.length);
    return hasRoom;
  }

  #adapt(count: number): void {
    const size = this.#buffer.length;
    const next = count === size ? largeBufferBytes : count <= smallBufferBytes ? smallBufferBytes : size;
    if (next === size) return;
    this.#pool.give(this.#buffer);
    this.#buffer = this.#pool.take(next);
  }

  #onData(chunk: Buffer): void {
    this.#onBytes(chunk.length);
    if (this.#sink?.write(chunk) === false) this.#source?.pause();
  }
}
