/** Wire types of protobuf (Encoding, "Message Structure"). Groups are not of proto3 and read as malformed. */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * A cursor over the fields of one message inside a buffer, without objects per field: call `next`, then read the
 * properties. Numbers past 2^31 in tags, and lengths past the end, are malformed.
 */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly #end: number;
  #position: number;
  /** Number and wire type of the field that `next` found. */
  fieldNumber = 0;
  wireType = 0;
  /** Where the field begins, with its tag. */
  fieldStart = 0;
  /** Where its value begins: for `bytes` behind the length. */
  valueStart = 0;
  /** Where the field and its value end. */
  valueEnd = 0;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  /**
   * Goes on to the next field.
   * @returns false at the end of the message
   * @throws RangeError where the bytes are no message
   */
  next(): boolean {
    if (this.#position >= this.#end) return false;
    this.fieldStart = this.#position;
    const tag = this.#readSmall();
    this.fieldNumber = tag >>> 3;
    this.wireType = tag & 7;
    if (this.fieldNumber === 0) throw new RangeError("malformed message: field number 0");
    this.valueStart = this.#position;
    switch (this.wireType) {
      case WireType.varint:
        this.#skipVarint();
        break;
      case WireType.fixed64:
        this.#position += 8;
        break;
      case WireType.bytes: {
        const length = this.#readSmall();
        this.valueStart = this.#position;
        this.#position += length;
        break;
      }
      case WireType.fixed32:
        this.#position += 4;
        break;
      default:
        throw new RangeError(`malformed message: wire type ${this.wireType}`);
    }
    if (this.#position > this.#end) throw new RangeError("malformed message: unexpected end");
    this.valueEnd = this.#position;
    return true;
  }

  /** A tag or a length: at most 32 bits, in at most five bytes. */
  #readSmall(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#position < this.#end ? this.bytes[this.#position++] : undefined;
      if (byte === undefined) throw new RangeError("malformed message: unexpected end");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw new RangeError("malformed message: a tag or length is too large");
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      const byte = this.#position < this.#end ? this.bytes[this.#position++] : undefined;
      if (byte === undefined) throw new RangeError("malformed message: unexpected end");
      if (byte < 0x80) return;
    }
    throw new RangeError("malformed message: a number is too large");
  }
}
