import type { Clock } from "../ports.ts";

interface Entry<V> {
  readonly value: V;
  readonly bytes: number;
  readonly until: number;
}

/** What an entry costs in memory beside its bytes. */
const entryOverheadBytes = 200;

/** Values by key, bounded in bytes and in time; what was used least recently goes first. */
export class BoundedMap<V> {
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry<V>>();
  #bytes = 0;

  constructor(clock: Clock, maxBytes: number) {
    this.#clock = clock;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** With what is around the values. Never more than the bound. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.until <= this.#clock.nowMs()) {
      this.#bytes -= entry.bytes;
      return undefined;
    }
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Keeps a value of so many bytes for so long; not at all if it is larger than a quarter of the bound. */
  set(key: string, value: V, valueBytes: number, ttlMs: number): void {
    this.delete(key);
    const bytes = valueBytes + key.length + entryOverheadBytes;
    if (bytes > this.#maxBytes / 4) return;
    this.#entries.set(key, { value, bytes, until: this.#clock.nowMs() + ttlMs });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
