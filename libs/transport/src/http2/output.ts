import { Buffer } from "node:buffer";

/** The first chunk of a turn is small: most connections write little at a time. */
const SMALL_CHUNK_BYTES = 8 * 1024;
const LARGE_CHUNK_BYTES = 64 * 1024;
/** Chunks kept for reuse, in the whole process: at most 1 MiB and 4 MiB. */
const SMALL_POOL_CHUNKS = 128;
const LARGE_POOL_CHUNKS = 64;

const smallPool: Buffer[] = [];
const largePool: Buffer[] = [];

function takeChunk(bytes: number): Buffer {
  if (bytes <= SMALL_CHUNK_BYTES) return smallPool.pop() ?? Buffer.allocUnsafeSlow(SMALL_CHUNK_BYTES);
  return largePool.pop() ?? Buffer.allocUnsafeSlow(LARGE_CHUNK_BYTES);
}

/** Gives a chunk back once the kernel has its bytes. */
export function releaseChunk(chunk: Buffer): void {
  if (chunk.length === SMALL_CHUNK_BYTES) {
    if (smallPool.length < SMALL_POOL_CHUNKS) smallPool.push(chunk);
  } else if (largePool.length < LARGE_POOL_CHUNKS) {
    largePool.push(chunk);
  }
}

/**
 * Collects what a connection writes in one turn of the loop. Frames are encoded straight into pooled chunks; the
 * connection takes the filled chunks, writes them, and releases each when its write is done.
 */
export class Output {
  /** The chunk being filled; encode at `position` after `reserve`, then advance it. Empty until something is written. */
  chunk: Buffer = EMPTY;
  position = 0;
  #full: { chunk: Buffer; length: number }[] = [];
  #fullBytes = 0;

  /** Bytes waiting to be taken. */
  get length(): number {
    return this.#fullBytes + this.position;
  }

  /** Whether more than one chunk is filled. */
  get isSplit(): boolean {
    return this.#full.length > 0;
  }

  /** Makes room for `bytes` contiguous bytes (no more than 64 KiB) at `position` of `chunk`. */
  reserve(bytes: number): void {
    if (this.chunk.length - this.position >= bytes) return;
    const first = this.position === 0;
    if (!first) {
      this.#full.push({ chunk: this.chunk, length: this.position });
      this.#fullBytes += this.position;
    }
    this.chunk = takeChunk(first ? bytes : LARGE_CHUNK_BYTES);
    this.position = 0;
  }

  /** Hands over everything collected, in order, each chunk with the length filled; starts anew. */
  take(use: (chunk: Buffer, length: number) => void): void {
    const full = this.#full;
    const chunk = this.chunk;
    const length = this.position;
    this.chunk = EMPTY;
    this.position = 0;
    if (full.length > 0) {
      this.#full = [];
      this.#fullBytes = 0;
      for (const part of full) use(part.chunk, part.length);
    }
    if (length > 0) use(chunk, length);
    else if (chunk !== EMPTY) releaseChunk(chunk);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
