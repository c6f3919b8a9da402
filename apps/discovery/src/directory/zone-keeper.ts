import { resolveHost } from "@etcd-edge/endpoints";
import type { Clock, Logger, Timer } from "@etcd-edge/runtime";
import { buildZone, type Zone, type ZoneHost } from "../dns/zone.ts";
import type { Directory } from "./directory.ts";
import { chooseServed, toHostLabel, toServedServices } from "./served-srv.ts";

export type ZoneKeeperOptions = {
  /** The members of etcd: served at the origin, and below `members`. */
  readonly directory: Directory;
  /** Our own tiers by name, each served below its name. */
  readonly tiers: ReadonlyMap<string, Directory>;
  readonly origin: string;
  readonly ttlSeconds: number;
  readonly serverAddresses: readonly string[];
  readonly logger: Logger;
  readonly clock: Clock;
};

/** Hosts known by name only are looked up again after this: a container may come back with another address. */
const resolveAgainMs = 10_000;

/** Keeps the DNS zone in step with the directory. A host that cannot be resolved keeps its last addresses. */
export class ZoneKeeper implements Disposable {
  readonly #options: ZoneKeeperOptions;
  readonly #addresses = new Map<string, readonly string[]>();
  readonly #unsubscribes: readonly (() => void)[];
  #zone: Zone;
  #serial = Math.floor(Date.now() / 1_000);
  #timer: Timer | undefined;
  #isEnded = false;

  constructor(options: ZoneKeeperOptions) {
    this.#options = options;
    this.#zone = this.#build();
    const all = [options.directory, ...options.tiers.values()];
    this.#unsubscribes = all.map((directory) => directory.subscribe(() => void this.#renew()));
    void this.#renew();
  }

  current(): Zone {
    return this.#zone;
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
    this.#timer?.stop();
    for (const unsubscribe of this.#unsubscribes) unsubscribe();
  }

  async #renew(): Promise<void> {
    this.#zone = this.#build(); // at once with what is known; new hosts get their addresses below
    const hosts = this.#hosts();
    await Promise.all([...hosts].map(async ([label, host]) => this.#resolve(label, host)));
    if (this.#isEnded) return;
    for (const label of this.#addresses.keys()) if (!hosts.has(label)) this.#addresses.delete(label);
    this.#zone = this.#build();
    this.#timer?.stop();
    this.#timer = this.#options.clock.setTimer(resolveAgainMs, () => void this.#renew());
  }

  async #resolve(label: string, host: string): Promise<void> {
    try {
      this.#addresses.set(label, await resolveHost(host));
    } catch (error) {
      this.#options.logger.warn("failed to resolve a host of the zone", { host, error });
    }
  }

  /** Hosts that need a name in our zone, by that name's label. */
  #hosts(): Map<string, string> {
    const { directory, tiers } = this.#options;
    const views = [directory, ...tiers.values()].map((one) => one.current());
    const hosts = views.flatMap(({ entries, peers }) => [
      ...entries.map(({ endpoint }) => endpoint.host),
      ...peers.map(({ host }) => host),
    ]);
    const labelled = new Map<string, string>();
    for (const host of hosts) {
      const label = toHostLabel(host);
      if (label !== undefined) labelled.set(label, host);
    }
    return labelled;
  }

  /** Where those are who are alive: a tier's own name leads to its replicas. */
  #addressesOf(directory: Directory): readonly string[] {
    const hosts = chooseServed(directory.current()).map(({ host }) => toHostLabel(host) ?? "");
    return [...new Set(hosts.flatMap((label) => this.#addresses.get(label) ?? []))];
  }

  #build(): Zone {
    const { directory, tiers, origin, ttlSeconds, serverAddresses } = this.#options;
    const hosts: ZoneHost[] = [...this.#addresses].map(([label, addresses]) => ({ label, addresses }));
    this.#serial += 1;
    const services = new Map(toServedServices(directory.current(), origin));
    for (const [name, one] of [["members", directory] as const, ...tiers]) {
      hosts.push({ label: name, addresses: this.#addressesOf(one) });
      for (const [labels, records] of toServedServices(one.current(), origin))
        services.set(`${labels}.${name}`, records);
    }
    return buildZone({ origin, ttlSeconds, serial: this.#serial, services, hosts, serverAddresses });
  }
}
