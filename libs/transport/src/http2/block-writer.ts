import { Buffer } from "node:buffer";
import { encodeStateless, type HpackEncoder, type Indexing, literalBound } from "../hpack/encoder.ts";

/** Collects one header block in a scratch buffer that all connections share: blocks are framed before the next begins. */
export class BlockWriter {
  buffer: Buffer = Buffer.allocUnsafeSlow(16 * 1024);
  length = 0;

  /** Starts a block with the size updates that are due. */
  begin(encoder: HpackEncoder): void {
    this.length = encoder.beginBlock(this.buffer, 0);
  }

  /** Adds a field by static table and literals alone. */
  add(name: string, value: string): void {
    this.#ensure(literalBound(name, value));
    this.length = encodeStateless(this.buffer, this.length, name, value);
  }

  /** Adds a field by the connection's encoder. */
  addIndexed(encoder: HpackEncoder, name: string, value: string, indexing: Indexing): void {
    this.#ensure(literalBound(name, value));
    this.length = encoder.encode(this.buffer, this.length, name, value, indexing);
  }

  /** Adds fields that were encoded before, in the same generation of the same encoder. */
  addEncoded(fields: Buffer): void {
    this.#ensure(fields.length);
    fields.copy(this.buffer, this.length);
    this.length += fields.length;
  }

  /** Adds pairs as `add` does. */
  addAll(metadata: readonly string[]): void {
    for (let i = 0; i < metadata.length; i += 2) this.add(metadata[i] as string, metadata[i + 1] as string);
  }

  #ensure(bytes: number): void {
    if (this.buffer.length - this.length >= bytes) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}

/** The one of the process. */
export const blockWriter: BlockWriter = new BlockWriter();
