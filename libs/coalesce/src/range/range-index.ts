import { compareBytes, toLatin1 } from "./bytes.ts";
import { hasKey, type KeyRange, lowerBound, rangeId, upperBound } from "./key-range.ts";

interface Entry<T> {
  readonly range: KeyRange;
  readonly value: T;
}

/**
 * Values by the range they stand for, found by key: a map for points, and for the rest a tree over the lower bounds that
 * knows the highest end below each node. A key costs the depth of the tree and what is found, not a look at every range.
 */
export class RangeIndex<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #points = new Map<string, T>();
  #wideCount = 0;
  /** Sorted by lower bound; rebuilt at the first question after a change. */
  #wide: readonly Entry<T>[] | undefined = undefined;
  /** The highest end in the subtree of each node; `undefined` for no end. */
  #highestEnd: (Uint8Array | undefined)[] = [];

  get size(): number {
    return this.#entries.size;
  }

  get(range: KeyRange): T | undefined {
    return this.#entries.get(rangeId(range))?.value;
  }

  set(range: KeyRange, value: T): void {
    const id = rangeId(range);
    const isNew = !this.#entries.has(id);
    this.#entries.set(id, { range, value });
    if (range.t === "point") {
      this.#points.set(toLatin1(range.key), value);
    } else {
      if (isNew) this.#wideCount++;
      this.#wide = undefined;
    }
  }

  delete(range: KeyRange): void {
    if (!this.#entries.delete(rangeId(range))) return;
    if (range.t === "point") {
      this.#points.delete(toLatin1(range.key));
    } else {
      this.#wideCount--;
      this.#wide = undefined;
    }
  }

  *values(): IterableIterator<T> {
    for (const { value } of this.#entries.values()) yield value;
  }

  /** Calls `found` for every range that has the key. */
  find(key: Uint8Array, found: (value: T) => void): void {
    if (this.#points.size > 0) {
      const point = this.#points.get(toLatin1(key));
      if (point !== undefined) found(point);
    }
    if (this.#wideCount === 0) return;
    this.#wide ??= this.#build();
    this.#search(0, this.#wide.length, key, found);
  }

  #build(): readonly Entry<T>[] {
    const wide = [...this.#entries.values()].filter(({ range }) => range.t !== "point");
    wide.sort((a, b) => compareBytes(lowerBound(a.range), lowerBound(b.range)));
    this.#highestEnd = new Array(wide.length);
    const fill = (low: number, high: number): Uint8Array | undefined => {
      const middle = (low + high) >>> 1;
      const entry = wide[middle];
      if (low >= high || entry === undefined) return new Uint8Array(0);
      const end = higher(higher(upperBound(entry.range), fill(low, middle)), fill(middle + 1, high));
      this.#highestEnd[middle] = end;
      return end;
    };
    fill(0, wide.length);
    return wide;
  }

  #search(low: number, high: number, key: Uint8Array, found: (value: T) => void): void {
    if (low >= high) return;
    const middle = (low + high) >>> 1;
    const entry = this.#wide?.[middle];
    const end = this.#highestEnd[middle];
    if (entry === undefined || (end !== undefined && compareBytes(key, end) >= 0)) return;
    this.#search(low, middle, key, found);
    if (compareBytes(lowerBound(entry.range), key) > 0) return;
    if (hasKey(entry.range, key)) found(entry.value);
    this.#search(middle + 1, high, key, found);
  }
}

/** The later of two ends, where none means no end. */
function higher(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return undefined;
  return compareBytes(a, b) >= 0 ? a : b;
}
