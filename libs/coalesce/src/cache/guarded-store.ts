import type { Clock, Timer } from "../ports.ts";
import type { SharedStore } from "./shared-store.ts";

/** Bounds of what a store may cost. */
export interface StoreGuard {
  /** How long a look-up may take before it counts as a miss, in milliseconds. Default 10. */
  readonly budgetMs: number;
  /** Most bytes on their way to the store; past that nothing more is written. Default 16 MiB. */
  readonly maxPendingBytes: number;
  /** So many answers in a row that were late or failed close the store for a while. Default 5. */
  readonly maxFailures: number;
}

export const defaultStoreGuard: StoreGuard = {
  budgetMs: 10,
  maxPendingBytes: 16 << 20,
  maxFailures: 5,
};

/** What became of look-ups and writes so far. */
export interface StoreCounts {
  hits: number;
  misses: number;
  /** Not answered within the budget. */
  late: number;
  failed: number;
  /** Not asked, because the store was left alone. */
  skipped: number;
  writes: number;
  /** Not written: too much was on its way, or the store was left alone. */
  dropped: number;
}

/**
 *     closed ── late or failed, several in a row ──▶ open ── it is time ──▶ trying ── in time ──▶ closed
 *                                                     ▲                       │
 *                                                     └── late or failed ─────┘ for twice as long
 *
 * Closed: asked. Open: nothing is asked, everything is a miss. Trying: one look-up is under way.
 */
type Breaker =
  | { readonly t: "closed"; readonly failures: number }
  | { readonly t: "open"; readonly until: number; readonly forMs: number }
  | { readonly t: "trying"; readonly forMs: number };

const firstOpenMs = 1_000;
const longestOpenMs = 30_000;

/** A store that never costs a request more than its budget: a slow one is left alone, a dead one is nothing but misses. */
export class GuardedStore {
  readonly counts: StoreCounts = {
    hits: 0,
    misses: 0,
    late: 0,
    failed: 0,
    skipped: 0,
    writes: 0,
    dropped: 0,
  };
  readonly #inner: SharedStore;
  readonly #clock: Clock;
  readonly #guard: StoreGuard;
  #breaker: Breaker = { t: "closed", failures: 0 };
  #pendingBytes = 0;

  constructor(inner: SharedStore, clock: Clock, guard: Partial<StoreGuard> = {}) {
    this.#inner = inner;
    this.#clock = clock;
    this.#guard = { ...defaultStoreGuard, ...guard };
  }

  get state(): Breaker["t"] {
    return this.#breaker.t;
  }

  /** Nothing where it is not there, or not there in time. Never rejects. */
  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.lookUp(key))?.value;
  }

  /** The same, and whether the store has answered at all: nothing where it has not. Never rejects. */
  lookUp(key: string): Promise<{ readonly value: Uint8Array | undefined } | undefined> {
    if (!this.#mayAsk()) {
      this.counts.skipped++;
      return Promise.resolve(undefined);
    }
    return new Promise((resolve) => {
      let timer: Timer | undefined = this.#clock.setTimer(this.#guard.budgetMs, () => {
        timer = undefined;
        this.counts.late++;
        this.#failed();
        resolve(undefined);
      });
      this.#inner.get(key).then(
        (value) => {
          if (timer === undefined) return; // too late
          timer.stop();
          this.#breaker = { t: "closed", failures: 0 };
          this.counts[value === undefined ? "misses" : "hits"]++;
          resolve({ value });
        },
        () => {
          if (timer === undefined) return;
          timer.stop();
          this.counts.failed++;
          this.#failed();
          resolve(undefined);
        },
      );
    });
  }

  /** Writes behind the caller's back. */
  set(key: string, value: Uint8Array, ttlMs: number): void {
    if (this.#breaker.t !== "closed" || this.#pendingBytes + value.length > this.#guard.maxPendingBytes) {
      this.counts.dropped++;
      return;
    }
    this.counts.writes++;
    this.#pendingBytes += value.length;
    const done = (): void => {
      this.#pendingBytes -= value.length;
    };
    this.#inner.set(key, value, ttlMs).then(done, () => {
      done();
      this.counts.failed++;
      this.#failed();
    });
  }

  #mayAsk(): boolean {
    if (this.#breaker.t === "closed") return true;
    if (this.#breaker.t === "trying" || this.#clock.nowMs() < this.#breaker.until) return false;
    this.#breaker = { t: "trying", forMs: this.#breaker.forMs };
    return true;
  }

  #failed(): void {
    if (this.#breaker.t === "open") return;
    if (this.#breaker.t === "closed" && this.#breaker.failures + 1 < this.#guard.maxFailures) {
      this.#breaker = { t: "closed", failures: this.#breaker.failures + 1 };
      return;
    }
    const forMs =
      this.#breaker.t === "trying" ? Math.min(longestOpenMs, this.#breaker.forMs * 2) : firstOpenMs;
    this.#breaker = { t: "open", until: this.#clock.nowMs() + forMs, forMs };
  }
}
