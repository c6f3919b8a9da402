import type { Clock } from "../ports.ts";
import { BoundedMap } from "./bounded-map.ts";

/**
 * Where replicas leave each other facts that do not change. It may lose anything at any time, and what comes out of it is not
 * trusted: an entry says of itself what it is, and whoever wants more puts a seal on it.
 */
export interface SharedStore {
  /** Rejects where the store cannot be reached. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Keeps a value for so long. Rejects where the store cannot be reached. */
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>;
}

/** A store of this process alone: what there is without any other. */
export class InProcessStore implements SharedStore {
  readonly #entries: BoundedMap<Uint8Array>;

  constructor(clock: Clock, maxBytes: number) {
    this.#entries = new BoundedMap(clock, maxBytes);
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#entries.get(key));
  }

  set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    this.#entries.set(key, value, value.length, ttlMs);
    return Promise.resolve();
  }
}
