import { Buffer } from "node:buffer";
import { DynamicTable } from "./dynamic-table.ts";
import { createHeaderField, type HeaderField } from "./header-field.ts";
import { HpackError } from "./hpack-error.ts";
import { huffmanDecode } from "./huffman.ts";

/** Takes the fields of a block in order. A field object may be a table entry: do not change it. */
export interface HeaderSink {
  add(field: HeaderField): void;
}

/** No length, index or size in a sane block needs more; a larger integer is an attack (RFC 7541, 7.4). */
const MAX_INTEGER = 0x0fff_ffff;
const SCRATCH_BYTES = 8192;
/** RFC 9113, 6.5.2. */
const DEFAULT_TABLE_BYTES = 4096;

/** Strings are copied out of here before the next one is decoded, so all decoders of the process share it. */
const scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** Decodes the header blocks of one direction of one connection (RFC 7541, section 3). */
export class HpackDecoder {
  readonly table: DynamicTable;
  #limit: number;
  #position = 0;

  /** @param limit largest table in bytes that the peer may use; 4096 until it has acknowledged another. */
  constructor(limit: number = DEFAULT_TABLE_BYTES) {
    this.#limit = limit;
    this.table = new DynamicTable(limit);
  }

  /**
   * The peer acknowledged another limit. If the table is larger, its next block must begin by shrinking it
   * (RFC 7541, 4.2).
   */
  applyLimit(limit: number): void {
    this.#limit = limit;
  }

  /**
   * Decodes one whole block, `block[start, end)`, into `sink`.
   *
   * @throws HpackError when the block is not HPACK; the connection must then end with COMPRESSION_ERROR.
   */
  decode(block: Buffer, start: number, end: number, sink: HeaderSink): void {
    this.#position = start;
    let fieldSeen = false;
    while (this.#position < end) {
      const byte = block[this.#position] as number;
      if ((byte & 0xe0) !== 0x20 && !fieldSeen && this.table.maxSize > this.#limit) {
        throw new HpackError("table size update is missing after a lowered limit");
      }
      if (byte >= 0x80) {
        sink.add(this.table.at(this.#integer(block, end, 7)));
      } else if (byte >= 0x40) {
        const field = this.#literal(block, end, 6);
        this.table.insert(field);
        sink.add(field);
      } else if (byte >= 0x20) {
        if (fieldSeen) throw new HpackError("table size update after a field");
        this.#resize(this.#integer(block, end, 5));
        continue;
      } else {
        sink.add(this.#literal(block, end, 4));
      }
      fieldSeen = true;
    }
  }

  #resize(size: number): void {
    if (size > this.#limit) throw new HpackError(`table size ${size} is above the limit ${this.#limit}`);
    this.table.resize(size);
  }

  #literal(block: Buffer, end: number, prefixBits: number): HeaderField {
    const nameIndex = this.#integer(block, end, prefixBits);
    const name = nameIndex === 0 ? this.#string(block, end) : this.table.at(nameIndex).name;
    return createHeaderField(name, this.#string(block, end));
  }

  /** RFC 7541, 5.1. */
  #integer(block: Buffer, end: number, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = (block[this.#position++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#position >= end) throw new HpackError("block ends inside an integer");
      if (shift > 28) throw new HpackError("integer is too long");
      const byte = block[this.#position++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (value > MAX_INTEGER) throw new HpackError("integer is too large");
      if (byte < 0x80) return value;
    }
  }

  /** RFC 7541, 5.2. */
  #string(block: Buffer, end: number): string {
    if (this.#position >= end) throw new HpackError("block ends before a string");
    const huffman = (block[this.#position] as number) >= 0x80;
    const length = this.#integer(block, end, 7);
    const start = this.#position;
    const stop = start + length;
    if (stop > end) throw new HpackError("block ends inside a string");
    this.#position = stop;
    if (!huffman) return block.toString("latin1", start, stop);
    const needed = (length * 8) / 5;
    const target = needed <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafeSlow(Math.ceil(needed));
    return target.toString("latin1", 0, huffmanDecode(block, start, stop, target));
  }
}
