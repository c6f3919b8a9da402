/** Free read buffers by size. Giving back is optional: what is not given back is garbage like any other. */
export class BufferPool {
  readonly #free = new Map<number, Buffer[]>();
  readonly #maxFreeBytes: number;

  /** `maxFreeBytes` bounds what is kept per size. Default 8 MiB. */
  constructor({ maxFreeBytes = 8 * 1024 * 1024 }: { maxFreeBytes?: number } = {}) {
    this.#maxFreeBytes = maxFreeBytes;
  }

  /** A buffer of exactly `size` bytes with arbitrary content. */
  take(size: number): Buffer {
    return this.#free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
  }

  /** Only for a buffer nobody reads from or writes to any more. */
  give(buffer: Buffer): void {
    const free = this.#free.get(buffer.length);
    if (free === undefined) this.#free.set(buffer.length, [buffer]);
    else if ((free.length + 1) * buffer.length <= this.#maxFreeBytes) free.push(buffer);
  }
}
