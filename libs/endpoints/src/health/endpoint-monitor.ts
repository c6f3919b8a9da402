import type { Clock, Timer } from "@etcd-edge/runtime";
import type { Endpoint } from "../endpoint.ts";
import { forgetHost } from "../lookup-host.ts";
import type { RandomSource } from "../picker.ts";
import { type EndpointHealth, type HealthEvent, type HealthPolicy, nextHealth } from "./endpoint-health.ts";
import type { Probe } from "./probe.ts";

export type MonitorOptions = {
  readonly policy: HealthPolicy;
  /** Pause between two probes of an endpoint in use; undefined: only ejected endpoints are probed. */
  readonly probeIntervalMs: number | undefined;
  readonly probeTimeoutMs: number;
  readonly probe: Probe;
  /**
   * A number that changes whenever the endpoint was seen to answer other than by a probe (bytes received from it).
   * A change since the last look counts as a sign of life and saves the probe.
   */
  readonly activityOf: (endpoint: Endpoint) => number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly onTransition: (monitor: EndpointMonitor, from: EndpointHealth, to: EndpointHealth) => void;
};

/** Keeps the health of one endpoint: owns its timer and its probe in flight. `stop()` ends both for good. */
export class EndpointMonitor {
  endpoint: Endpoint;
  #health: EndpointHealth;
  readonly #options: MonitorOptions;
  #timer: Timer | undefined;
  #probing: AbortController | undefined;
  #seenActivity: number;
  #isStopped = false;

  constructor(endpoint: Endpoint, options: MonitorOptions) {
    this.endpoint = endpoint;
    this.#options = options;
    this.#seenActivity = options.activityOf(endpoint);
    if (options.probeIntervalMs === undefined) {
      this.#health = { t: "healthy", sinceMs: options.clock.nowMs(), ejections: 0 }; // nobody will ever tell us otherwise
    } else {
      this.#health = { t: "unknown" };
      this.#startProbe();
    }
  }

  get health(): EndpointHealth {
    return this.#health;
  }

  /** A client's dial failed. Ignored once ejected. */
  reportUnreachable(error: string): void {
    this.#handle({ t: "unreachable", error });
  }

  /** It passes checks and fails the work. Ignored once ejected. */
  reportFailing(error: string): void {
    this.#handle({ t: "failing", error });
  }

  /** Somebody needs this endpoint now: an ejected one is tried at once instead of when its wait is over. */
  hurry(): void {
    this.#handle({ t: "retry-due" });
  }

  /** Looks now, in whatever state it is. */
  recheck(): void {
    if (this.#isStopped || this.#probing !== undefined) return;
    if (this.#health.t === "ejected") {
      this.hurry();
    } else if (this.#options.probeIntervalMs !== undefined) {
      this.#timer?.stop();
      this.#timer = undefined;
      this.#startProbe();
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#leave();
  }

  #handle(event: HealthEvent): void {
    if (this.#isStopped) return;
    const { policy, clock, random } = this.#options;
    const from = this.#health;
    const to = nextHealth(from, event, policy, { nowMs: clock.nowMs(), random: random() });
    if (to !== from) {
      this.#leave();
      this.#health = to;
      this.#options.onTransition(this, from, to);
    }
    this.#enter();
  }

  /** Every state has exactly one thing pending: a probe in flight or a timer that starts one. */
  #enter(): void {
    if (this.#isStopped || this.#probing !== undefined || this.#timer !== undefined) return;
    switch (this.#health.t) {
      case "unknown":
      case "probing":
        this.#startProbe();
        return;
      case "ejected":
        this.#setTimer(this.#health.waitMs, () => this.#handle({ t: "retry-due" }));
        return;
      case "suspect": // the silence itself took a whole probe timeout: look again at once
        this.#setTimer(0, () => this.#startProbe());
        return;
      case "healthy":
        if (this.#options.probeIntervalMs !== undefined) {
          const spread = 0.9 + 0.1 * this.#options.random();
          this.#setTimer(this.#options.probeIntervalMs * spread, () => this.#look());
        }
        return;
      default:
        this.#health satisfies never;
    }
  }

  #leave(): void {
    this.#timer?.stop();
    this.#timer = undefined;
    this.#probing?.abort();
    this.#probing = undefined;
  }

  #look(): void {
    const activity = this.#options.activityOf(this.endpoint);
    if (activity === this.#seenActivity) {
      this.#startProbe();
    } else {
      this.#seenActivity = activity;
      this.#handle({ t: "alive" });
    }
  }

  #startProbe(): void {
    const { probe, probeTimeoutMs, clock } = this.#options;
    const abort = new AbortController();
    this.#probing = abort;
    const timeout = clock.setTimer(probeTimeoutMs, () => abort.abort());
    void probe(this.endpoint, abort.signal).then((result) => {
      timeout.stop();
      if (this.#probing !== abort) return; // a probe of a state we left
      this.#probing = undefined;
      if (result.t !== "alive") forgetHost(this.endpoint.host);
      this.#seenActivity = this.#options.activityOf(this.endpoint);
      this.#handle(result);
    });
  }

  #setTimer(delayMs: number, fire: () => void): void {
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      fire();
    });
  }
}
