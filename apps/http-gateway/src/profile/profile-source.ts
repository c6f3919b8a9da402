import type { Clock, Logger } from "@etcd-edge/runtime";
import { type JsonProfile, profileV1 } from "./json-profile.ts";

/** How long a profile is believed before the upstream is asked again; upgrades of etcd show within this time. */
const believedMs = 60_000;
/** How long a failed attempt stands before the next request makes another. */
const retryMs = 1_000;

/**
 * unknown ──detected──► known ──60 s──► known, asking again behind the back of requests
 *    └──not detected──► unknown: answered as v1 for 1 s, then the next request asks again
 */
type State =
  | { readonly t: "unknown"; readonly askAgainAtMs: number }
  | { readonly t: "known"; readonly profile: JsonProfile; readonly askAgainAtMs: number };

/** The profile of an upstream that is found out by asking, with `--json-profile auto`. */
export class DetectedProfile {
  readonly #detect: () => Promise<JsonProfile | undefined>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #state: State = { t: "unknown", askAgainAtMs: Number.NEGATIVE_INFINITY };
  #flight: Promise<void> | undefined;

  constructor(options: { detect: () => Promise<JsonProfile | undefined>; clock: Clock; logger: Logger }) {
    this.#detect = options.detect;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** The profile to answer a request in: a promise only while none is known and an attempt is due. Never rejects. */
  current(): JsonProfile | Promise<JsonProfile> {
    if (this.#clock.nowMs() >= this.#state.askAgainAtMs) {
      this.#flight ??= this.#ask();
      if (this.#state.t === "unknown") return this.#flight.then(() => this.#known());
    }
    return this.#known();
  }

  #known(): JsonProfile {
    return this.#state.t === "known" ? this.#state.profile : profileV1;
  }

  async #ask(): Promise<void> {
    try {
      const profile = await this.#detect();
      if (profile === undefined) this.#postpone();
      else this.#learn(profile);
    } catch (error) {
      this.#logger.warn("failed to find out the JSON profile of the upstream", { error });
      this.#postpone();
    } finally {
      this.#flight = undefined;
    }
  }

  #learn(profile: JsonProfile): void {
    if (this.#state.t === "unknown" || !sameProfile(this.#state.profile, profile)) {
      this.#logger.info("speaking the JSON profile of the upstream", { ...profile });
    }
    this.#state = { t: "known", profile, askAgainAtMs: this.#clock.nowMs() + believedMs };
  }

  #postpone(): void {
    this.#state = { ...this.#state, askAgainAtMs: this.#clock.nowMs() + retryMs };
  }
}

function sameProfile(a: JsonProfile, b: JsonProfile): boolean {
  return (
    a.generation === b.generation &&
    a.errorShape === b.errorShape &&
    a.failedPreconditionStatus === b.failedPreconditionStatus
  );
}
