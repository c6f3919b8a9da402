import type { Buffer } from "node:buffer";

/** Bytes of one stream that wait for their turn or for window. Holds references; copies at the moment of sending. */
export class SendQueue {
  #parts: Uint8Array[] = [];
  #first = 0;
  /** Bytes of the first part already sent. */
  #offset = 0;
  #length = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  push(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#length += part.length;
  }

  /** Moves `bytes` (no more than `length`) into `target` at `offset`. */
  moveTo(target: Buffer, offset: number, bytes: number): void {
    let position = offset;
    const stop = offset + bytes;
    while (position < stop) {
      const part = this.#parts[this.#first] as Uint8Array;
      const take = Math.min(part.length - this.#offset, stop - position);
      if (take === part.length) target.set(part, position);
      else target.set(part.subarray(this.#offset, this.#offset + take), position);
      position += take;
      this.#offset += take;
      if (this.#offset === part.length) this.#dropFirst();
    }
    this.#length -= bytes;
  }

  #dropFirst(): void {
    this.#offset = 0;
    this.#first++;
    if (this.#first === this.#parts.length) {
      this.#parts = [];
      this.#first = 0;
    } else if (this.#first >= 64) {
      this.#parts = this.#parts.slice(this.#first);
      this.#first = 0;
    }
  }
}
