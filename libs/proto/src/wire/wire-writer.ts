/** Grows a buffer of protobuf fields. `finish` gives the bytes; the writer is not used after that. */
export class WireWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** @param expectedBytes how much room to begin with */
  constructor(expectedBytes: number) {
    this.#bytes = new Uint8Array(Math.max(32, expectedBytes));
  }

  /** Copies part of another buffer. */
  copy(bytes: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start);
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length += end - start;
  }

  varint(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  /** A field of wire type `bytes`. */
  bytesField(fieldNumber: number, value: Uint8Array): void {
    this.varint((fieldNumber << 3) | 2);
    this.varint(value.length);
    this.copy(value, 0, value.length);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
