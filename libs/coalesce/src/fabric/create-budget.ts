import type { Clock, Timer } from "../ports.ts";

/** How many watches may be opened at etcd because something else was lost. */
export interface CreateRate {
  readonly perSecond: number;
  /** So many at once after a quiet time. */
  readonly burst: number;
  /** Who has waited so long is told no, and comes again. Milliseconds. */
  readonly maxWaitMs: number;
}

export const defaultCreateRate: CreateRate = { perSecond: 100, burst: 20, maxWaitMs: 10_000 };

/**
 * Spreads what all feeds would do at the same moment, when an ingester or the bus is gone: a token bucket with a queue
 * (rule 26). What a client asks for by itself does not wait here.
 */
export class CreateBudget {
  readonly #clock: Clock;
  readonly #rate: CreateRate;
  #tokens: number;
  #filledAt: number;
  readonly #queue: { readonly since: number; readonly settle: (isGranted: boolean) => void }[] = [];
  #timer: Timer | undefined = undefined;
  granted = 0;
  refused = 0;

  constructor(clock: Clock, rate: CreateRate = defaultCreateRate) {
    this.#clock = clock;
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledAt = clock.nowMs();
  }

  /** How many wait, and for how long the first of them has. */
  get waiting(): { readonly count: number; readonly longestMs: number } {
    const [first] = this.#queue;
    const longestMs = first === undefined ? 0 : this.#clock.nowMs() - first.since;
    return { count: this.#queue.length, longestMs };
  }

  /** @returns whether the watch may be opened: true in its turn, false where that did not come in time */
  take(): true | Promise<boolean> {
    this.#fill();
    if (this.#queue.length === 0 && this.#tokens >= 1) {
      this.#spend();
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#queue.push({ since: this.#clock.nowMs(), settle: resolve });
    this.#timer ??= this.#armed();
    return promise;
  }

  /** Lets everybody go without. */
  close(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    for (const { settle } of this.#queue.splice(0)) settle(false);
  }

  #spend(): void {
    this.#tokens -= 1;
    this.granted++;
  }

  #fill(): void {
    const now = this.#clock.nowMs();
    const { perSecond, burst } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
  }

  #armed(): Timer {
    return this.#clock.setTimer(Math.ceil(1000 / this.#rate.perSecond), () => {
      this.#timer = undefined;
      this.#fill();
      const now = this.#clock.nowMs();
      while (this.#queue[0] !== undefined && now - this.#queue[0].since >= this.#rate.maxWaitMs) {
        this.refused++;
        this.#queue.shift()?.settle(false);
      }
      while (this.#queue.length > 0 && this.#tokens >= 1) {
        this.#spend();
        this.#queue.shift()?.settle(true);
      }
      if (this.#queue.length > 0) this.#timer ??= this.#armed();
    });
  }
}
