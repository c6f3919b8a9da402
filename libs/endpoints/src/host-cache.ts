import type { LookupAddress } from "node:dns";
import { type Clock, systemClock } from "@etcd-edge/runtime";

export type HostCacheOptions = {
  /** Asks the system. Rejects if the name cannot be resolved. */
  readonly resolve: (host: string) => Promise<readonly LookupAddress[]>;
  /** An answer so old is asked for again, in the background. Default 5000. */
  readonly freshMs?: number;
  /** An answer so old is no longer given. Default 60,000. */
  readonly staleMs?: number;
  readonly clock?: Clock;
};

type Entry = { readonly addresses: readonly LookupAddress[]; readonly atMs: number };

/** More names than this are not remembered; a gateway has a handful. */
const maxHosts = 1_000;

/**
 * Remembers the addresses of hosts for some seconds. The system's resolver runs on four threads: asked for every
 * connection, one slow DNS server would stop all dials and all health checks with them. Failures are not remembered.
 */
export class HostCache {
  readonly #resolve: (host: string) => Promise<readonly LookupAddress[]>;
  readonly #freshMs: number;
  readonly #staleMs: number;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  readonly #asking = new Map<string, Promise<readonly LookupAddress[]>>();

  constructor({ resolve, freshMs = 5_000, staleMs = 60_000, clock = systemClock }: HostCacheOptions) {
    this.#resolve = resolve;
    this.#freshMs = freshMs;
    this.#staleMs = staleMs;
    this.#clock = clock;
  }

  /** Rejects with the resolver's error if nothing usable is remembered. */
  async lookup(host: string): Promise<readonly LookupAddress[]> {
    const entry = this.#entries.get(host);
    const ageMs = entry === undefined ? Number.POSITIVE_INFINITY : this.#clock.nowMs() - entry.atMs;
    if (entry === undefined || ageMs >= this.#staleMs) return await this.#ask(host);
    if (ageMs >= this.#freshMs) void this.#ask(host).catch(() => undefined); // the old answer serves meanwhile
    return entry.addresses;
  }

  /** What is remembered proved wrong: the next lookup asks. */
  forget(host: string): void {
    this.#entries.delete(host);
  }

  /** One question per host at a time, shared. */
  #ask(host: string): Promise<readonly LookupAddress[]> {
    const asked = this.#asking.get(host);
    if (asked !== undefined) return asked;
    const asking = this.#resolve(host)
      .then((addresses) => {
        if (this.#entries.size < maxHosts || this.#entries.has(host)) {
          this.#entries.set(host, { addresses, atMs: this.#clock.nowMs() });
        }
        return addresses;
      })
      .finally(() => this.#asking.delete(host));
    this.#asking.set(host, asking);
    return asking;
  }
}
