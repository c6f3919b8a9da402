/** How often a client may ping (gRPC's keepalive enforcement, doc A8). */
export interface PingPolicyOptions {
  /** Least time between two pings. */
  readonly minTimeMs: number;
  /** Whether pings are fine without a call; if not, two hours must lie between them. */
  readonly permitWithoutStreams: boolean;
}

const WITHOUT_STREAMS_MS = 7_200_000;
const STRIKES = 2;

/** Counts the pings that came too early; the third ends the connection. What we send in between forgives all. */
export class PingPolicy {
  readonly #options: PingPolicyOptions;
  #lastAt = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #framesSeen = 0;

  constructor(options: PingPolicyOptions) {
    this.#options = options;
  }

  /**
   * Counts a ping. False when it is one too many.
   *
   * @param callFrames how many frames for calls were sent so far: any since the last ping forgive what was before,
   *   for clients ping to measure the path.
   */
  allows(now: number, hasStreams: boolean, callFrames: number): boolean {
    const gap = now - this.#lastAt;
    this.#lastAt = now;
    if (callFrames !== this.#framesSeen) {
      this.#framesSeen = callFrames;
      this.#strikes = 0;
      return true;
    }
    const required =
      hasStreams || this.#options.permitWithoutStreams ? this.#options.minTimeMs : WITHOUT_STREAMS_MS;
    if (gap < required) this.#strikes++;
    return this.#strikes <= STRIKES;
  }
}
