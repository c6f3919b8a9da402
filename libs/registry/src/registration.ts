import type { Clock, Logger } from "@etcd-edge/runtime";
import { FailureLog, reasonOf } from "./failure-log.ts";
import { pause } from "./pause.ts";
import type { AskOptions, RegistryEtcd } from "./registry-etcd.ts";

export interface RegistrationOptions {
  readonly etcd: RegistryEtcd;
  readonly key: string;
  readonly value: string;
  /** `--resolver-ttl`, in seconds: so long after this process died its key is gone. */
  readonly ttlSeconds: number;
  /** Whether a key that is there already, under a lease that is not ours, is left alone. Default: it is taken over. */
  readonly isGuarded?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 *              lease granted, key put                  lease gone, or silence for its TTL
 *     registering ───────────────────▶ registered ───────────────────────────┐
 *       ▲   │ failed; a fresh lease is revoked                               ▼
 *       │   └─────────────────────────────────────────────────────────▶ waiting
 *       └───────────── a second after the last attempt began ────────────────┘
 *
 *     any ── dispose: lease revoked ──▶ withdrawn
 */
export type RegistrationState =
  | { readonly t: "registering" }
  | { readonly t: "registered"; readonly leaseId: bigint }
  | { readonly t: "waiting" }
  | { readonly t: "withdrawn" };

/** Attempts begin at least this far apart. */
const attemptIntervalMs = 1_000;
/** And so far where somebody else has the key: he may leave, and is in nobody's way meanwhile. */
const guardedIntervalMs = 5_000;
/** For one answer of etcd's while registering. */
const askTimeoutMs = 3_000;
/** For the revocation, which a shutdown waits for. */
const revokeTimeoutMs = 1_000;

/**
 * Keeps one key in etcd for as long as this process lives: under a lease, renewed every third of its TTL, and put anew
 * when the lease is lost. Starts at once and never gives up.
 *
 * Disposing takes the key out (it waits at most a second for etcd); twice is fine.
 */
export class Registration implements AsyncDisposable {
  readonly #options: RegistrationOptions;
  readonly #failures: FailureLog;
  readonly #abort = new AbortController();
  readonly #finished: Promise<void>;
  #state: RegistrationState = { t: "waiting" };

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.logger, "failed to register the proxy");
    this.#finished = this.#run(this.#abort.signal);
  }

  get state(): RegistrationState {
    return this.#state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#finished;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    while (!signal.aborted) {
      const begunAtMs = clock.nowMs();
      this.#enter({ t: "registering" });
      try {
        await this.#registerUntilLost(signal);
        if (signal.aborted) break;
        logger.warn("session expired; possible network partition or server restart");
        logger.warn("creating a new session to rejoin");
      } catch (error) {
        if (!signal.aborted) this.#failures.failed(reasonOf(error));
      }
      this.#enter({ t: "waiting" });
      const intervalMs = this.#options.isGuarded === true ? guardedIntervalMs : attemptIntervalMs;
      await pause(clock, begunAtMs + intervalMs - clock.nowMs(), signal);
    }
    this.#enter({ t: "withdrawn" });
  }

  /** Resolves when the lease is lost or `signal` fired; rejects when there was no registering. */
  async #registerUntilLost(signal: AbortSignal): Promise<void> {
    const { etcd, key, value, clock, logger } = this.#options;
    const options = { timeoutMs: askTimeoutMs, signal };
    const askedAtMs = clock.nowMs();
    // A grant whose answer we do not wait for any more leaves a lease without a key, which ends by itself.
    const { id, ttlSeconds } = await etcd.grant(this.#options.ttlSeconds, options);
    try {
      await this.#put({ key, value, leaseId: id }, options);
    } catch (error) {
      await this.#revoke(id);
      throw error;
    }
    this.#failures.succeeded();
    this.#enter({ t: "registered", leaseId: id });
    logger.info("registered the proxy", { key, "lease-id": id.toString(16), "ttl-seconds": ttlSeconds });
    await this.#renewUntilLost(id, askedAtMs + ttlSeconds * 1_000, signal);
    if (signal.aborted) await this.#revoke(id);
  }

  async #put(entry: { key: string; value: string; leaseId: bigint }, options: AskOptions): Promise<void> {
    const { etcd, isGuarded } = this.#options;
    if (isGuarded !== true) await etcd.put(entry, options);
    else if (!(await etcd.claim(entry, options))) throw new Error("the key is under somebody else's lease");
  }

  /** `heldUntilMs` counts from when etcd was asked, so that we never take a lease for longer than it is. */
  async #renewUntilLost(leaseId: bigint, firstHeldUntilMs: number, signal: AbortSignal): Promise<void> {
    const { etcd, clock, logger } = this.#options;
    let heldUntilMs = firstHeldUntilMs;
    let intervalMs = (heldUntilMs - clock.nowMs()) / 3;
    let waitMs = intervalMs;
    for (;;) {
      await pause(clock, Math.min(waitMs, heldUntilMs - clock.nowMs()), signal);
      const askedAtMs = clock.nowMs();
      if (signal.aborted || askedAtMs >= heldUntilMs) return;
      try {
        const ttlSeconds = await etcd.renew(leaseId, {
          timeoutMs: Math.min(intervalMs, heldUntilMs - askedAtMs),
          signal,
        });
        if (ttlSeconds <= 0) return;
        heldUntilMs = askedAtMs + ttlSeconds * 1_000;
        intervalMs = (ttlSeconds * 1_000) / 3;
        waitMs = intervalMs;
      } catch (error) {
        logger.debug("failed to renew the lease of the registration", { error: reasonOf(error) });
        waitMs = Math.min(intervalMs, attemptIntervalMs);
      }
    }
  }

  async #revoke(leaseId: bigint): Promise<void> {
    try {
      await this.#options.etcd.revoke(leaseId, { timeoutMs: revokeTimeoutMs });
    } catch (error) {
      this.#options.logger.warn("failed to revoke the lease of the registration; it ends with its TTL", {
        error: reasonOf(error),
      });
    }
  }

  #enter(state: RegistrationState): void {
    this.#options.logger.debug("registration changed", { from: this.#state.t, to: state.t });
    this.#state = state;
  }
}
