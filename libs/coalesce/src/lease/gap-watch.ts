import type { LeaseClock } from "./ports.ts";

/**
 * A pause of this process after which nothing from before is shared: shorter than every share window, for a TTL below
 * 2 s is never shared at all.
 */
const gapMs = 300;

/**
 * Notices that this process did not run for a while: stopped, starved, or its machine asleep (the wall clock went on
 * without the monotonic one). Whatever it remembers from before is then of unknown age (rule 12).
 */
export class GapWatch {
  readonly #clock: Pick<LeaseClock, "nowMs" | "wallMs">;
  #seenMs: number;
  #wallMs: number;
  /** When the last gap was noticed. What was sent before that is not shared. */
  gapAtMs: number = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<LeaseClock, "nowMs" | "wallMs">) {
    this.#clock = clock;
    this.#seenMs = clock.nowMs();
    this.#wallMs = clock.wallMs();
  }

  /**
   * Looks at the clocks; to be called much more often than every 300 ms.
   * @returns whether there was a gap since the last look
   */
  look(): boolean {
    const nowMs = this.#clock.nowMs();
    const wallMs = this.#clock.wallMs();
    const passedMs = nowMs - this.#seenMs;
    const isGap = passedMs > gapMs || wallMs - this.#wallMs - passedMs > gapMs;
    this.#seenMs = nowMs;
    this.#wallMs = wallMs;
    if (isGap) this.gapAtMs = nowMs;
    return isGap;
  }
}
