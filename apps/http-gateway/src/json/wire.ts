/** A place in protobuf bytes that moves as it is read. All of it is bounds-checked: what leaves the bytes throws. */
export class WireCursor {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;
  /** Of the varint that was read last: its halves, unsigned. Numbers, because nearly all of them fit and bigints are slow. */
  low = 0;
  high = 0;

  constructor(bytes: Buffer, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** @throws RangeError at the end of the bytes, or of a varint that is none */
  readVarint(): void {
    const { bytes } = this;
    let at = this.at;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= this.end || shift > 63) throw malformed();
      const byte = bytes[at++] ?? 0;
      const group = byte & 0x7f;
      if (shift < 28) low |= group << shift;
      else if (shift === 28) {
        low |= group << 28;
        high = group >>> 4;
      } else high |= group << (shift - 32);
      if (byte < 0x80) break;
    }
    this.low = low >>> 0;
    this.high = high >>> 0;
    this.at = at;
  }

  /** The end of the field of bytes that begins here, behind its length. */
  readLength(): number {
    this.readVarint();
    const end = this.at + this.low;
    if (this.high !== 0 || end > this.end) throw malformed();
    return end;
  }

  /** Goes behind a field. @param wireType of its tag */
  skip(wireType: number): void {
    if (wireType === 0) this.readVarint();
    else if (wireType === 1) this.at += 8;
    else if (wireType === 2) this.at = this.readLength();
    else if (wireType === 5) this.at += 4;
    else throw malformed();
    if (this.at > this.end) throw malformed();
  }
}

export function malformed(): RangeError {
  return new RangeError("malformed message");
}

/** Bytes as a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
