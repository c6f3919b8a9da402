import type { Clock, Logger, Timer } from "@etcd-edge/runtime";
import { FailureLog, reasonOf } from "./failure-log.ts";
import { parseRegistryValue, type RegisteredProxy } from "./registry-entry.ts";
import type { RegistryEtcd, RegistryEvent } from "./registry-etcd.ts";

export interface RegisteredProxiesOptions {
  readonly etcd: RegistryEtcd;
  /** As {@link registryPrefix} makes it. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after every change of who is registered. */
  readonly onChange?: () => void;
}

/**
 *     listing ──entries at revision R──▶ watching from R+1
 *       ▲  │ failed                          │ ended, for whatever reason
 *       │  ▼                                 │
 *     waiting ◀──────────────────────────────┘
 *       a second after the last listing began
 *
 *     any ── dispose ──▶ ended
 */
type State =
  | { readonly t: "listing"; readonly abort: AbortController }
  | { readonly t: "watching"; readonly stop: () => void }
  | { readonly t: "waiting"; readonly timer: Timer }
  | { readonly t: "ended" };

/** Listings begin at least this far apart. */
const listIntervalMs = 1_000;
const listTimeoutMs = 3_000;

/**
 * Follows the entries under a prefix. Whatever ends the watch, everything is read again, so that entries which vanished
 * in between vanish here. While etcd is away the last view stands. Starts at once.
 */
export class RegisteredProxies implements Disposable {
  readonly #options: RegisteredProxiesOptions;
  readonly #failures: FailureLog;
  /** By key. */
  #proxies = new Map<string, RegisteredProxy>();
  #listedAtMs = 0;
  #state: State = { t: "ended" };

  constructor(options: RegisteredProxiesOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.logger, "failed to follow the registered proxies");
    this.#list();
  }

  /** All whose entries can be read, by key. */
  current(): ReadonlyMap<string, RegisteredProxy> {
    return this.#proxies;
  }

  [Symbol.dispose](): void {
    this.#leave();
    this.#state = { t: "ended" };
  }

  #leave(): void {
    switch (this.#state.t) {
      case "listing":
        this.#state.abort.abort();
        return;
      case "watching":
        this.#state.stop();
        return;
      case "waiting":
        this.#state.timer.stop();
        return;
      case "ended":
        return;
      default:
        this.#state satisfies never;
    }
  }

  #list(): void {
    const { etcd, prefix, clock } = this.#options;
    const abort = new AbortController();
    this.#state = { t: "listing", abort };
    this.#listedAtMs = clock.nowMs();
    void etcd.list(prefix, { timeoutMs: listTimeoutMs, signal: abort.signal }).then(
      ({ revision, entries }) => {
        if (abort.signal.aborted) return;
        this.#failures.succeeded();
        this.#proxies = new Map();
        for (const [key, value] of entries) this.#apply({ t: "put", key, value });
        this.#options.onChange?.();
        this.#watch(revision + 1n);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) this.#wait(reasonOf(error));
      },
    );
  }

  #watch(fromRevision: bigint): void {
    const stop = this.#options.etcd.watch(this.#options.prefix, fromRevision, {
      onEvents: (events) => {
        for (const event of events) this.#apply(event);
        this.#options.onChange?.();
      },
      onEnd: (reason) => this.#wait(reason),
    });
    this.#state = { t: "watching", stop };
  }

  #wait(reason: string): void {
    const { clock } = this.#options;
    this.#failures.failed(reason);
    const delayMs = Math.max(0, this.#listedAtMs + listIntervalMs - clock.nowMs());
    this.#state = { t: "waiting", timer: clock.setTimer(delayMs, () => this.#list()) };
  }

  /** An entry that cannot be read counts as none, also when it takes the place of a good one. */
  #apply(event: RegistryEvent): void {
    const { logger } = this.#options;
    if (event.t === "deleted") {
      this.#proxies.delete(event.key);
      logger.debug("a proxy is no longer registered", { key: event.key });
      return;
    }
    try {
      this.#proxies.set(event.key, parseRegistryValue(event.value));
      logger.debug("a proxy is registered", { key: event.key });
    } catch (error) {
      this.#proxies.delete(event.key);
      logger.warn("skipped a registration that cannot be read", { key: event.key, error: reasonOf(error) });
    }
  }
}
