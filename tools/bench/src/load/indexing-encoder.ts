import { Buffer } from "node:buffer";

const TABLE_BYTES = 4096;
const STATIC_LENGTH = 61;
const staticPairs: Readonly<Record<string, number>> = { ":method\0POST": 3, ":scheme\0http": 6 };
const staticNames: Readonly<Record<string, number>> = {
  ":authority": 1,
  ":path": 4,
  "content-type": 31,
  "user-agent": 58,
};

/**
 * Encodes header blocks as grpc-go does: every field enters the dynamic table, the fresh `grpc-timeout` of each call
 * too, so that the table moves with every request and pushes out what does not change now and then (RFC 7541).
 * For the load generator alone: without Huffman coding, for fields shorter than 127 bytes.
 */
export class IndexingEncoder {
  readonly #entries: { key: string; size: number }[] = [];
  #size = 0;

  /** Encodes one block. */
  encode(fields: readonly (readonly [name: string, value: string])[]): Buffer {
    return Buffer.concat(fields.map(([name, value]) => this.#field(name, value)));
  }

  #field(name: string, value: string): Buffer {
    const key = `${name}\0${value}`;
    const known = staticPairs[key] ?? this.#find((entry) => entry === key);
    if (known !== undefined) return integer(0x80, 7, known);
    const nameIndex = staticNames[name] ?? this.#find((entry) => entry.startsWith(`${name}\0`)) ?? 0;
    const parts = [integer(0x40, 6, nameIndex)];
    if (nameIndex === 0) parts.push(Buffer.of(name.length), Buffer.from(name));
    parts.push(Buffer.of(value.length), Buffer.from(value));
    this.#insert(key, name.length + value.length + 32);
    return Buffer.concat(parts);
  }

  #find(matches: (key: string) => boolean): number | undefined {
    const at = this.#entries.findIndex(({ key }) => matches(key));
    return at < 0 ? undefined : STATIC_LENGTH + 1 + at;
  }

  #insert(key: string, size: number): void {
    this.#entries.unshift({ key, size });
    this.#size += size;
    while (this.#size > TABLE_BYTES) this.#size -= this.#entries.pop()?.size ?? this.#size;
  }
}

function integer(pattern: number, prefixBits: number, value: number): Buffer {
  const mask = (1 << prefixBits) - 1;
  return value < mask ? Buffer.of(pattern | value) : Buffer.of(pattern | mask, value - mask);
}
