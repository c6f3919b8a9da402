import type { Buffer } from "node:buffer";
import { huffmanEncode, huffmanLength } from "./huffman.ts";
import { STATIC_TABLE_LENGTH, staticNameIndex, staticPairIndex } from "./static-table.ts";

/** How a field may be encoded. */
export const Indexing = {
  /** Enters the dynamic table, so that the next block needs one or two bytes for it. */
  incremental: 0x40,
  without: 0x00,
  /** Intermediaries must not index it either: for secrets that change (RFC 7541, 7.1.3). */
  never: 0x10,
} as const;

/** One of the values of {@link Indexing}. */
export type Indexing = (typeof Indexing)[keyof typeof Indexing];

/** Upper bound for the bytes that `encodeLiteral` writes for a pair. */
export function literalBound(name: string, value: string): number {
  return name.length + value.length + 16;
}

/** Writes an integer with a prefix of `prefixBits` under the pattern `first` (RFC 7541, 5.1); returns the offset after it. */
export function encodeInteger(
  target: Uint8Array,
  offset: number,
  first: number,
  prefixBits: number,
  value: number,
): number {
  const mask = (1 << prefixBits) - 1;
  let position = offset;
  if (value < mask) {
    target[position++] = first | value;
    return position;
  }
  target[position++] = first | mask;
  let rest = value - mask;
  while (rest >= 128) {
    target[position++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[position++] = rest;
  return position;
}

/** Writes a string, Huffman-coded where that is shorter and `compress` is set (RFC 7541, 5.2). */
function encodeString(target: Buffer, offset: number, text: string, compress: boolean): number {
  if (compress) {
    const length = huffmanLength(text);
    if (length < text.length)
      return huffmanEncode(text, target, encodeInteger(target, offset, 0x80, 7, length));
  }
  const position = encodeInteger(target, offset, 0, 7, text.length);
  return position + target.write(text, position, text.length, "latin1");
}

/**
 * Writes a field that uses the static table alone: valid in any block of any connection (rule 41). An exact static
 * pair becomes one index, else it is a literal.
 */
export function encodeStateless(target: Buffer, offset: number, name: string, value: string): number {
  const pair = staticPairIndex.get(`${name}\0${value}`);
  if (pair !== undefined) return encodeInteger(target, offset, 0x80, 7, pair);
  const nameIndex = staticNameIndex.get(name) ?? 0;
  return encodeLiteral(target, offset, Indexing.without, nameIndex, name, value, false);
}

function encodeLiteral(
  target: Buffer,
  offset: number,
  indexing: Indexing,
  nameIndex: number,
  name: string,
  value: string,
  compress: boolean,
): number {
  let position = encodeInteger(
    target,
    offset,
    indexing,
    indexing === Indexing.incremental ? 6 : 4,
    nameIndex,
  );
  if (nameIndex === 0) position = encodeString(target, position, name, compress);
  return encodeString(target, position, value, compress);
}

interface Entry {
  readonly key: string;
  readonly size: number;
}

/**
 * Encodes blocks with a dynamic table (RFC 7541, section 6). One per direction of a connection; blocks must reach
 * the wire in the order they were encoded. A field is indexed when the caller says so and it fits.
 */
export class HpackEncoder {
  /** Key → insertion number; HPACK index = 62 + (newest − number). */
  readonly #numbers = new Map<string, number>();
  #entries: Entry[] = [];
  /** Position in `#entries` of the oldest live entry; the dead head is cut off now and then. */
  #oldest = 0;
  #inserted = 0;
  #generation = 0;
  #size = 0;
  #maxSize: number;
  #announced: number;
  #lowest: number;

  /** @param maxTableBytes the most we want to use, whatever the peer allows. */
  constructor(maxTableBytes: number) {
    this.#maxSize = Math.min(maxTableBytes, 4096);
    // The peer's decoder starts at 4096: a smaller choice of ours must be announced before anything is indexed.
    this.#announced = 4096;
    this.#lowest = this.#maxSize;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE changed; takes effect, and is announced, with the next block. */
  setPeerLimit(limit: number): void {
    this.#maxSize = Math.min(limit, 4096);
    this.#lowest = Math.min(this.#lowest, this.#maxSize);
    this.#generation++;
    this.#evictTo(this.#maxSize);
  }

  /** Changes with every insertion and size change: an encoded block of indices alone is good within one generation. */
  get generation(): number {
    return this.#generation;
  }

  /** The next block must begin with a size update, so that no ready-made block may be the next. */
  get isUpdateDue(): boolean {
    return this.#maxSize !== this.#announced || this.#lowest < this.#announced;
  }

  /** To be called before the first field of every block: writes what size updates are due (RFC 7541, 4.2). */
  beginBlock(target: Buffer, offset: number): number {
    let position = offset;
    if (this.#lowest < this.#announced && this.#lowest < this.#maxSize) {
      position = encodeInteger(target, position, 0x20, 5, this.#lowest);
      this.#announced = this.#lowest;
    }
    if (this.#maxSize !== this.#announced) {
      position = encodeInteger(target, position, 0x20, 5, this.#maxSize);
      this.#announced = this.#maxSize;
    }
    this.#lowest = this.#maxSize;
    return position;
  }

  /** Writes one field; returns the offset after it. Reserve `literalBound` bytes. */
  encode(target: Buffer, offset: number, name: string, value: string, indexing: Indexing): number {
    const key = `${name}\0${value}`;
    const pair = staticPairIndex.get(key);
    if (pair !== undefined) return encodeInteger(target, offset, 0x80, 7, pair);
    const nameIndex = staticNameIndex.get(name) ?? 0;
    if (indexing !== Indexing.incremental) {
      return encodeLiteral(target, offset, indexing, nameIndex, name, value, false);
    }
    const number = this.#numbers.get(key);
    if (number !== undefined) {
      return encodeInteger(target, offset, 0x80, 7, STATIC_TABLE_LENGTH + 1 + this.#inserted - number);
    }
    const size = name.length + value.length + 32;
    // An entry of more than half the table would push out what all other calls share.
    if (size * 2 > this.#maxSize) {
      return encodeLiteral(target, offset, Indexing.without, nameIndex, name, value, true);
    }
    this.#insert(key, size);
    return encodeLiteral(target, offset, Indexing.incremental, nameIndex, name, value, true);
  }

  #insert(key: string, size: number): void {
    this.#evictTo(this.#maxSize - size);
    this.#inserted++;
    this.#generation++;
    this.#entries.push({ key, size });
    this.#numbers.set(key, this.#inserted);
    this.#size += size;
  }

  #evictTo(limit: number): void {
    while (this.#size > limit) {
      const entry = this.#entries[this.#oldest++];
      if (entry === undefined) break;
      this.#numbers.delete(entry.key);
      this.#size -= entry.size;
    }
    if (this.#oldest > 64) {
      this.#entries = this.#entries.slice(this.#oldest);
      this.#oldest = 0;
    }
  }
}
