import type { Watcher } from "./watcher.ts";

/** The watchers of a stream by id. Most streams have one: it takes no map. */
export class WatcherTable {
  #only: Watcher | undefined = undefined;
  #all: Map<bigint, Watcher> | undefined = undefined;

  get size(): number {
    return this.#all?.size ?? (this.#only === undefined ? 0 : 1);
  }

  get(id: bigint): Watcher | undefined {
    if (this.#all !== undefined) return this.#all.get(id);
    return this.#only?.id === id ? this.#only : undefined;
  }

  /** Enters a watcher whose id is free. */
  add(watcher: Watcher): void {
    if (this.#all === undefined && this.#only === undefined) {
      this.#only = watcher;
      return;
    }
    this.#all ??= new Map();
    if (this.#only !== undefined) this.#all.set(this.#only.id, this.#only);
    this.#only = undefined;
    this.#all.set(watcher.id, watcher);
  }

  /** @returns whether it was there */
  delete(id: bigint): boolean {
    if (this.#all !== undefined) return this.#all.delete(id);
    if (this.#only?.id !== id) return false;
    this.#only = undefined;
    return true;
  }

  *values(): IterableIterator<Watcher> {
    if (this.#only !== undefined) yield this.#only;
    if (this.#all !== undefined) yield* this.#all.values();
  }
}
