import { randomInt } from "node:crypto";

/** What a table needs to know of its members. */
interface Identified {
  readonly id: number;
}

const FIRST_CAPACITY = 16;

/** Of this process alone, so that no peer can choose identifiers that fall together. */
const SECRET = randomInt(2 ** 31);

/** Spreads identifiers over 32 bits (the finishing steps of MurmurHash3). */
function hash(id: number): number {
  let h = id ^ SECRET;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * The open streams of a connection by identifier: a hash table with linear probing. Instead of a Map, because a Map
 * under constant coming and going leaves behind a chain of outgrown tables, each holding on to the next, which made
 * the young-generation collector copy every dead call (a third of the CPU of a relay).
 */
export class StreamTable<T extends Identified> {
  #slots: (T | undefined)[] = [];
  #mask = -1;
  #size = 0;

  /** Number of streams. */
  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    if (this.#size === 0) return undefined;
    for (let at = hash(id) & this.#mask; ; at = (at + 1) & this.#mask) {
      const stream = this.#slots[at];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** Enters a stream whose identifier is not in the table. */
  add(stream: T): void {
    if (this.#size * 2 > this.#mask) this.#resize(Math.max(FIRST_CAPACITY, (this.#mask + 1) * 2));
    this.#size++;
    this.#place(stream);
  }

  /** Removes a stream. @returns whether it was there */
  delete(id: number): boolean {
    if (this.#size === 0) return false;
    let hole = hash(id) & this.#mask;
    for (;;) {
      const stream = this.#slots[hole];
      if (stream === undefined) return false;
      if (stream.id === id) break;
      hole = (hole + 1) & this.#mask;
    }
    this.#slots[hole] = undefined;
    this.#size--;
    this.#closeGap(hole);
    // A burst of streams must not cost its memory for ever.
    if (this.#mask > 255 && this.#size * 8 < this.#mask) this.#resize((this.#mask + 1) / 4);
    return true;
  }

  /** All streams, as they are now: the table may change while they are looked at. */
  snapshot(): T[] {
    return this.#slots.filter((stream) => stream !== undefined);
  }

  /** Moves back those behind a hole that would no longer be found. */
  #closeGap(from: number): void {
    let hole = from;
    for (let at = (hole + 1) & this.#mask; ; at = (at + 1) & this.#mask) {
      const stream = this.#slots[at];
      if (stream === undefined) return;
      const home = hash(stream.id) & this.#mask;
      // Distances around the ring: it may move if the hole lies between its home and its place.
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#slots[hole] = stream;
      this.#slots[at] = undefined;
      hole = at;
    }
  }

  #place(stream: T): void {
    let at = hash(stream.id) & this.#mask;
    while (this.#slots[at] !== undefined) at = (at + 1) & this.#mask;
    this.#slots[at] = stream;
  }

  #resize(capacity: number): void {
    const streams = this.snapshot();
    this.#slots = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
    for (const stream of streams) this.#place(stream);
  }
}
