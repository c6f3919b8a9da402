/** A number of frames allowed at once, and how many per second become free again. */
export interface FloodLimit {
  readonly burst: number;
  readonly perSecond: number;
}

/** A bucket of tokens, one per frame of some kind that costs us more than it costs the peer. */
export class FloodGuard {
  readonly #limit: FloodLimit;
  #tokens: number;
  #filledAt = 0;

  constructor(limit: FloodLimit) {
    this.#limit = limit;
    this.#tokens = limit.burst;
  }

  /** Counts one frame at `nowMs` (any monotonic clock). False when the limit is exceeded. */
  take(nowMs: number): boolean {
    const gained = ((nowMs - this.#filledAt) / 1000) * this.#limit.perSecond;
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + gained);
    this.#filledAt = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
