/** When to ask a silent peer whether it is still there. */
export interface KeepaliveOptions {
  /** Silence before a PING; 0 never asks. */
  readonly timeMs: number;
  /** How long the answer may take; anything received counts as one. */
  readonly timeoutMs: number;
  /** Ask even while no call is open. Many servers punish that (`too_many_pings`). */
  readonly withoutStreams: boolean;
}

/**
 *   quiet ──silent for timeMs──► asked ──anything received──► quiet
 *                                  └──timeoutMs──► dead
 */
export class Keepalive {
  lastReceivedAt: number = performance.now();
  readonly #options: KeepaliveOptions;
  #askedAt: number | undefined = undefined;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
  }

  /** What is due now. After "ping" the caller has sent one. */
  tick(now: number, hasStreams: boolean): "wait" | "ping" | "dead" {
    const { timeMs, timeoutMs, withoutStreams } = this.#options;
    if (this.#askedAt !== undefined) {
      if (this.lastReceivedAt < this.#askedAt) return now - this.#askedAt > timeoutMs ? "dead" : "wait";
      this.#askedAt = undefined;
    }
    if (timeMs === 0 || now - this.lastReceivedAt < timeMs || !(hasStreams || withoutStreams)) return "wait";
    this.#askedAt = now;
    return "ping";
  }
}
