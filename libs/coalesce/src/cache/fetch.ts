import type { ReadResult } from "../read/ports.ts";
import type { CachedRead } from "./cached-read.ts";

/** Somebody who waits for a fetch. */
interface Waiter {
  readonly read: CachedRead;
  /** It was there before the read was sent. */
  readonly isFirst: boolean;
  /** Goes on by another way, unless it has left. */
  go(next: (read: CachedRead) => () => void): void;
}

/** What a fetch needs. */
export interface FetchPort {
  /** Looks whether another replica has left the answer. Never rejects. */
  lookUp(): Promise<Uint8Array | undefined>;
  /** Asks etcd. @returns how to give up */
  ask(settle: (result: ReadResult) => void): () => void;
  onFound(body: Uint8Array, waiters: readonly Waiter[]): void;
  onAnswered(result: ReadResult, waiters: readonly Waiter[]): void;
  onAbandoned(): void;
}

interface Place extends Waiter {
  leave: () => void;
  isGone: boolean;
}

/**
 * One answer that does not change any more, on its way here for all who want it.
 *
 *     looking (shared store) ── not there ──▶ asking (etcd) ──▶ over
 *          └── there ──▶ over                      └── everybody left ──▶ over
 */
type Phase =
  | { readonly t: "looking" }
  | { readonly t: "asking"; readonly giveUp: () => void }
  | { readonly t: "over" };

/** See {@link Phase}. */
export class Fetch {
  readonly #port: FetchPort;
  #phase: Phase = { t: "looking" };
  #places: Place[] = [];

  constructor(port: FetchPort) {
    this.#port = port;
    void this.#look();
  }

  /** @returns how to leave */
  join(read: CachedRead): () => void {
    const place: Place = {
      read,
      isFirst: this.#phase.t === "looking",
      isGone: false,
      leave: () => this.#leave(place),
      go: (next) => {
        if (!place.isGone) place.leave = next(read);
      },
    };
    this.#places.push(place);
    return () => {
      if (place.isGone) return;
      place.isGone = true;
      place.leave();
    };
  }

  async #look(): Promise<void> {
    const found = await this.#port.lookUp();
    if (this.#phase.t !== "looking") return;
    if (found !== undefined) {
      this.#phase = { t: "over" };
      this.#port.onFound(found, this.#present());
      return;
    }
    const giveUp = this.#port.ask((result) => {
      this.#phase = { t: "over" };
      this.#port.onAnswered(result, this.#present());
    });
    this.#phase = { t: "asking", giveUp };
  }

  #present(): readonly Place[] {
    return this.#places.filter(({ isGone }) => !isGone);
  }

  #leave(place: Place): void {
    place.isGone = true;
    if (this.#phase.t === "over" || this.#present().length > 0) return;
    if (this.#phase.t === "asking") this.#phase.giveUp();
    this.#phase = { t: "over" };
    this.#port.onAbandoned();
  }
}
