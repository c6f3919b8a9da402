import type { LocalRead } from "./local-read.ts";
import type { ReadResult, SharedRead } from "./ports.ts";

/** One caller's place at an `Ask`. */
export interface Place {
  readonly read: SharedRead;
  ask: Ask;
  isGone: boolean;
}

/** One distinct request, and everybody who waits for its answer. */
export class Ask {
  /** The request's bytes as a key of maps. */
  readonly key: string;
  readonly request: Uint8Array;
  /** It was in the air once when a connection was lost: it is not sent a third time (rule 13). */
  hasBeenLost = false;
  /** How often it came back unsent. */
  unsentCount = 0;
  /** How it can be answered here; taken away where that did not work out. */
  local: LocalRead | undefined;
  /** Whether it may travel with others when it travels. */
  readonly isSmall: boolean;
  /** Called when the last caller has left. */
  onAbandoned: (() => void) | undefined = undefined;
  #places: Place[] = [];
  #present = 0;

  constructor(key: string, request: Uint8Array, isSmall: boolean, local?: LocalRead) {
    this.key = key;
    this.request = request;
    this.isSmall = isSmall;
    this.local = local;
  }

  get isAbandoned(): boolean {
    return this.#present === 0;
  }

  /** How many wait. */
  get size(): number {
    return this.#present;
  }

  /** @returns how to leave */
  join(read: SharedRead): () => void {
    const place: Place = { read, ask: this, isGone: false };
    this.#places.push(place);
    this.#present++;
    return () => place.ask.#leave(place);
  }

  /** Takes over the callers of another ask with the same bytes; that one is used no more. */
  absorb(other: Ask): void {
    for (const place of other.#places) {
      place.ask = this;
      this.#places.push(place);
    }
    this.#present += other.#present;
    this.hasBeenLost ||= other.hasBeenLost;
    this.unsentCount = Math.max(this.unsentCount, other.unsentCount);
    other.#places = [];
    other.#present = 0;
  }

  /** Who asked first, of those who still wait. */
  get client(): unknown {
    return this.#places.find(({ isGone }) => !isGone)?.read.client;
  }

  /** The latest moment until which somebody waits; endless where one has no deadline. */
  latestDeadlineMs(): number {
    let latest = 0;
    for (const { read, isGone } of this.#places) {
      if (!isGone) latest = Math.max(latest, read.deadlineMs ?? Number.POSITIVE_INFINITY);
    }
    return latest;
  }

  /** Tells everybody who is still there. */
  settle(result: ReadResult): void {
    const places = this.#places;
    this.#places = [];
    this.#present = 0;
    for (const place of places) {
      if (place.isGone) continue;
      place.isGone = true;
      place.read.settle(result);
    }
  }

  #leave(place: Place): void {
    if (place.isGone) return;
    place.isGone = true;
    this.#present--;
    if (this.#present === 0) this.onAbandoned?.();
  }
}
