import type { Presence } from "@etcd-edge/fabric";
import {
  formatRegistryValue,
  type RegisteredProxy,
  Registration,
  type RegistryEtcd,
} from "@etcd-edge/registry";
import type { Clock, Logger } from "@etcd-edge/runtime";

export interface TierRegistrationsOptions {
  readonly etcd: RegistryEtcd;
  /** As `registryPrefix` makes it. */
  readonly prefix: string;
  readonly ttlSeconds: number;
  /** Which tiers are entered: those that clients speak gRPC to and that have no etcd of their own to write to. */
  readonly tiers: ReadonlySet<string>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Enters replicas that told of themselves under `--resolver-prefix`, for Go clients that resolve `etcd:///`. Each entry lives by
 * a lease of ours and goes with its replica. A key under somebody else's lease (the replica's own, or another discovery's)
 * is left alone; when that one goes, ours takes its place. Disposing takes all of ours out.
 */
export class TierRegistrations implements AsyncDisposable {
  readonly #options: TierRegistrationsOptions;
  /** By address. */
  readonly #entries = new Map<string, Registration>();
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: TierRegistrationsOptions) {
    this.#options = options;
  }

  /** Keys that are there by us. */
  get registered(): readonly string[] {
    return [...this.#entries].filter(([, { state }]) => state.t === "registered").map(([address]) => address);
  }

  update(present: readonly Presence[]): void {
    const wanted = new Map<string, Presence>();
    for (const one of present) {
      const isMeant =
        this.#options.tiers.has(one.tier) && one.url !== undefined && one.notReady === undefined;
      if (isMeant && one.url !== undefined) wanted.set(addressOf(one.url), one);
    }
    for (const [address, registration] of this.#entries) {
      if (wanted.has(address)) continue;
      this.#entries.delete(address);
      const left = registration[Symbol.asyncDispose]().finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
    }
    for (const [address, { name, tier }] of wanted) {
      if (!this.#entries.has(address)) this.#entries.set(address, this.#register({ address, name, tier }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all([...entries.map((one) => one[Symbol.asyncDispose]()), ...this.#leaving]);
  }

  #register(entry: RegisteredProxy): Registration {
    const { etcd, prefix, ttlSeconds, clock, logger } = this.#options;
    return new Registration({
      etcd,
      key: `${prefix}${entry.address}`,
      value: formatRegistryValue(entry),
      ttlSeconds,
      isGuarded: true,
      clock,
      logger,
    });
  }
}

/** What Go clients dial: without a scheme, as etcd's own proxy enters itself. */
function addressOf(url: string): string {
  return url.replace(/^[a-z]+:\/\//, "").replace(/\/$/, "");
}
