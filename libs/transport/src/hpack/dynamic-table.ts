import type { HeaderField } from "./header-field.ts";
import { HpackError } from "./hpack-error.ts";
import { STATIC_TABLE_LENGTH, staticTable } from "./static-table.ts";

/**
 * The decoder's table (RFC 7541, 2.3.2): newest entry first, evicting from the oldest. Entries stand in a ring so
 * that insertion moves nothing.
 */
export class DynamicTable {
  /** Changes with every insertion, eviction and size update: what a block means is fixed only within one generation. */
  generation = 0;
  #ring: (HeaderField | undefined)[] = [];
  #mask = -1;
  #newest = 0;
  #length = 0;
  #size = 0;
  #maxSize: number;

  /** @param maxSize limit in bytes as RFC 7541, 4.1 counts them. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Number of dynamic entries. */
  get length(): number {
    return this.#length;
  }

  /** Sum of the sizes of the dynamic entries. */
  get size(): number {
    return this.#size;
  }

  /** The limit in force. */
  get maxSize(): number {
    return this.#maxSize;
  }

  /** Entry at an HPACK index, static or dynamic. @throws HpackError when there is none. */
  at(index: number): HeaderField {
    const field =
      index <= STATIC_TABLE_LENGTH
        ? index > 0
          ? staticTable[index]
          : undefined
        : index - STATIC_TABLE_LENGTH <= this.#length
          ? this.#ring[(this.#newest - (index - STATIC_TABLE_LENGTH - 1)) & this.#mask]
          : undefined;
    if (field === undefined) throw new HpackError(`header index ${index} is outside of the tables`);
    return field;
  }

  /** Inserts a field, evicting what no longer fits; a field above the limit empties the table (RFC 7541, 4.4). */
  insert(field: HeaderField): void {
    this.generation++;
    this.#evictTo(this.#maxSize - field.size);
    if (field.size > this.#maxSize) return;
    if (this.#length > this.#mask) this.#growRing();
    this.#newest = (this.#newest + 1) & this.#mask;
    this.#ring[this.#newest] = field;
    this.#length++;
    this.#size += field.size;
  }

  /** Applies a dynamic table size update. The caller has checked it against the announced limit. */
  resize(maxSize: number): void {
    this.generation++;
    this.#maxSize = maxSize;
    this.#evictTo(maxSize);
  }

  #evictTo(limit: number): void {
    while (this.#length > 0 && this.#size > limit) {
      const oldest = (this.#newest - this.#length + 1) & this.#mask;
      this.#size -= this.#ring[oldest]?.size ?? 0;
      this.#ring[oldest] = undefined;
      this.#length--;
    }
  }

  #growRing(): void {
    const capacity = Math.max(8, (this.#mask + 1) * 2);
    const ring: (HeaderField | undefined)[] = new Array(capacity).fill(undefined);
    for (let i = 0; i < this.#length; i++) {
      ring[i] = this.#ring[(this.#newest - this.#length + 1 + i) & this.#mask];
    }
    this.#ring = ring;
    this.#mask = capacity - 1;
    this.#newest = (this.#length - 1) & this.#mask;
  }
}
