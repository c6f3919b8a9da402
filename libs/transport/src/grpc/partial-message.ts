import { Buffer } from "node:buffer";

/** Bytes of the prefix of a gRPC message: a flag and the length. */
export const PREFIX_BYTES = 5;

/**
 * A message of which some bytes are still to come. Its buffer grows with what has arrived, not with what the prefix
 * claims: a peer cannot make us allocate by announcing.
 */
export class PartialMessage {
  /** First byte of the prefix; meaningful once `hasPrefix`. */
  flag = 0;
  /** Length of the payload; meaningful once `hasPrefix`. */
  length = 0;
  #prefixLeft = PREFIX_BYTES;
  #buffer: Buffer = EMPTY;
  #filled = 0;

  get hasPrefix(): boolean {
    return this.#prefixLeft === 0;
  }

  get isWhole(): boolean {
    return this.hasPrefix && this.#filled === this.length;
  }

  /** Payload bytes held. */
  get filled(): number {
    return this.#filled;
  }

  /** The payload, once whole; the caller's to keep. */
  get payload(): Buffer {
    return this.#buffer.length === this.length ? this.#buffer : this.#buffer.subarray(0, this.length);
  }

  /** Takes bytes of the prefix; returns the position after those used. */
  addPrefix(source: Buffer, start: number, end: number): number {
    let position = start;
    while (this.#prefixLeft > 0 && position < end) {
      const byte = source[position++] as number;
      if (this.#prefixLeft === PREFIX_BYTES) this.flag = byte;
      else this.length = this.length * 256 + byte;
      this.#prefixLeft--;
    }
    return position;
  }

  /** Takes bytes of the payload; returns the position after those used. */
  addPayload(source: Buffer, start: number, end: number): number {
    const take = Math.min(end - start, this.length - this.#filled);
    const needed = this.#filled + take;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.length, Math.max(needed, this.#buffer.length * 2)));
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer = larger;
    }
    source.copy(this.#buffer, this.#filled, start, start + take);
    this.#filled = needed;
    return start + take;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
