import { type Clock, systemClock } from "@etcd-edge/runtime";
import { type Endpoint, endpointKey } from "./endpoint.ts";
import type { EndpointSet, EndpointSource } from "./endpoint-set.ts";
import type { EndpointHealth, HealthPolicy } from "./health/endpoint-health.ts";
import { EndpointMonitor, type MonitorOptions } from "./health/endpoint-monitor.ts";
import type { Probe } from "./health/probe.ts";
import { forgetHost } from "./lookup-host.ts";
import { Picker, type RandomSource, type Standing } from "./picker.ts";

export type EndpointTransition = {
  readonly endpoint: Endpoint;
  readonly from: EndpointHealth;
  readonly to: EndpointHealth;
};

export type EndpointPoolOptions = {
  /** Where the set comes from. The pool follows it and does not dispose it. */
  readonly source: EndpointSource;
  /** How an endpoint is looked at. */
  readonly probe: Probe;
  /** Pause between probes of an endpoint in use. Default 500; undefined: only dial failures eject. */
  readonly probeIntervalMs?: number | undefined;
  /** Silence longer than this counts. Default 500. */
  readonly probeTimeoutMs?: number;
  readonly policy?: Partial<HealthPolicy>;
  readonly activityOf?: (endpoint: Endpoint) => number;
  readonly clock?: Clock;
  readonly random?: RandomSource;
  readonly onTransition?: (transition: EndpointTransition) => void;
  /** Called with each endpoint that left the set for good. */
  readonly onRemoved?: (endpoint: Endpoint) => void;
};

const defaultHealthPolicy: HealthPolicy = {
  silencesToEject: 2,
  minRetryMs: 250,
  minOutlierRetryMs: 5_000,
  maxRetryMs: 15_000,
  steadyMs: 60_000,
};

/** A stopped process is doubted after at most interval + timeout = 1 s and ejected after 1.5 s. */
const defaultProbeIntervalMs = 500;
const defaultProbeTimeoutMs = 500;

/** How soon in a row {@link EndpointPool.pick} may hurry the retries when it has nobody to offer. */
const hurryPauseMs = 1_000;

/**
 * The upstreams in use: follows an endpoint set, watches everybody's health, and picks. Disposing stops all probes;
 * it does not touch connections made to picked endpoints.
 */
export class EndpointPool implements AsyncDisposable {
  readonly #options: EndpointPoolOptions;
  readonly #monitorOptions: MonitorOptions;
  readonly #picker: Picker;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  #monitors = new Map<string, EndpointMonitor>();
  #hurriedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: EndpointPoolOptions) {
    const random = options.random ?? Math.random;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#picker = new Picker(random);
    this.#monitorOptions = {
      policy: { ...defaultHealthPolicy, ...options.policy },
      probeIntervalMs: "probeIntervalMs" in options ? options.probeIntervalMs : defaultProbeIntervalMs,
      probeTimeoutMs: options.probeTimeoutMs ?? defaultProbeTimeoutMs,
      probe: options.probe,
      activityOf: options.activityOf ?? (() => 0),
      clock: this.#clock,
      random,
      onTransition: ({ endpoint }, from, to) => options.onTransition?.({ endpoint, from, to }),
    };
    this.#unsubscribe = options.source.subscribe((set) => this.#follow(set));
    this.#follow(options.source.current());
  }

  /**
   * The endpoint to use next, or undefined if all are ejected or in `tried` (keys of {@link endpointKey}). When nobody
   * at all is usable the waits of the ejected are cut short, so that a recovered upstream serves the next try.
   */
  pick(tried?: ReadonlySet<string>): Endpoint | undefined {
    const candidates = [...this.#monitors]
      .filter(([key]) => tried?.has(key) !== true)
      .map(([, monitor]) => ({
        monitor,
        priority: monitor.endpoint.priority,
        weight: monitor.endpoint.weight,
      }));
    const picked = this.#picker.pick(candidates, ({ monitor }) => standingOf(monitor.health));
    if (picked === undefined) this.#hurry();
    return picked?.monitor.endpoint;
  }

  /** A dial to a picked endpoint failed. Not for errors of our own host, see `isLocalError`. */
  reportUnreachable(endpoint: Endpoint, error: string): void {
    forgetHost(endpoint.host);
    this.#monitors.get(endpointKey(endpoint))?.reportUnreachable(error);
  }

  /** An endpoint fails the work that others do, see `Outliers`. */
  reportFailing(endpoint: Endpoint, error: string): void {
    this.#monitors.get(endpointKey(endpoint))?.reportFailing(error);
  }

  /** Looks at an endpoint, or at all of them, now instead of when it is due; whoever is being looked at is left alone. */
  recheck(endpoint?: Endpoint): void {
    const chosen =
      endpoint === undefined ? [...this.#monitors.values()] : [this.#monitors.get(endpointKey(endpoint))];
    for (const monitor of chosen) monitor?.recheck();
  }

  /** Everybody in the set with what is believed of them, in the set's order. */
  snapshot(): readonly { readonly endpoint: Endpoint; readonly health: EndpointHealth }[] {
    return [...this.#monitors.values()].map(({ endpoint, health }) => ({ endpoint, health }));
  }

  /** True if a pick would find somebody. */
  hasUsable(): boolean {
    return [...this.#monitors.values()].some(({ health }) => standingOf(health) !== "bad");
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    for (const monitor of this.#monitors.values()) monitor.stop();
    return Promise.resolve();
  }

  #follow(set: EndpointSet): void {
    const before = this.#monitors;
    this.#monitors = new Map();
    for (const endpoint of set.endpoints) {
      const key = endpointKey(endpoint);
      const known = before.get(key);
      before.delete(key);
      if (known !== undefined) known.endpoint = endpoint; // priority or weight may have changed; health has not
      this.#monitors.set(key, known ?? new EndpointMonitor(endpoint, this.#monitorOptions));
    }
    for (const monitor of before.values()) {
      monitor.stop();
      this.#options.onRemoved?.(monitor.endpoint);
    }
  }

  #hurry(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#hurriedAtMs < hurryPauseMs || this.hasUsable()) return;
    this.#hurriedAtMs = nowMs;
    for (const monitor of this.#monitors.values()) monitor.hurry();
  }
}

function standingOf(health: EndpointHealth): Standing {
  switch (health.t) {
    case "healthy":
      return "good";
    case "unknown":
    case "suspect":
      return "doubtful";
    case "ejected":
    case "probing":
      return "bad";
    default:
      return health satisfies never;
  }
}
