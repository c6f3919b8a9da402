import {
  type Endpoint,
  EndpointPool,
  EndpointSetHolder,
  endpointUrl,
  type Probe,
  parseEndpoint,
} from "@etcd-edge/endpoints";
import type { Presence } from "@etcd-edge/fabric";
import type { RegisteredProxy } from "@etcd-edge/registry";
import type { Logger } from "@etcd-edge/runtime";
import { Directory } from "../directory/directory.ts";
import { type TierName, tierNames } from "./tier-names.ts";

export interface TiersOptions {
  /** Name of the etcd cluster behind them. */
  readonly cluster: string;
  /** Replicas that told of themselves. */
  readonly present: () => readonly Presence[];
  /** What is registered in etcd: grpc-proxies, where nothing else is said. */
  readonly registered: () => Iterable<RegisteredProxy>;
  /** How a replica is looked at. */
  readonly probe: Probe;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly logger: Logger;
  readonly onChange: () => void;
}

interface Tier {
  readonly holder: EndpointSetHolder;
  readonly pool: EndpointPool;
  readonly directory: Directory;
}

/**
 * The replicas of our own tiers, each tier with a directory as the members of etcd have one. Who is there is what replicas
 * tell, and what is registered in etcd; who is alive is looked at. Every replica of discovery hears the same and needs
 * no leader. Disposing stops the looking.
 */
export class Tiers implements AsyncDisposable {
  readonly #options: TiersOptions;
  readonly #tiers: ReadonlyMap<TierName, Tier>;

  constructor(options: TiersOptions) {
    this.#options = options;
    this.#tiers = new Map(tierNames.map((name) => [name, this.#createTier(name)]));
    this.refresh();
  }

  of(name: TierName): Directory {
    const tier = this.#tiers.get(name);
    if (tier === undefined) throw new Error(`no tier ${name}`); // every name of the type has one
    return tier.directory;
  }

  *all(): IterableIterator<readonly [TierName, Directory]> {
    for (const [name, { directory }] of this.#tiers) yield [name, directory];
  }

  /** To be called when somebody was heard, or is heard no more. */
  refresh(): void {
    for (const [name, { holder, directory }] of this.#tiers) {
      holder.update(this.#endpointsOf(name));
      directory.refresh();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { pool } of this.#tiers.values()) await pool[Symbol.asyncDispose]();
  }

  #createTier(name: TierName): Tier {
    const { cluster, probe, probeIntervalMs, probeTimeoutMs, logger, onChange } = this.#options;
    const holder = new EndpointSetHolder();
    holder.update([]); // nobody is an answer, too
    const pool = new EndpointPool({
      source: toSource(holder),
      probe,
      probeIntervalMs,
      probeTimeoutMs,
      onTransition: ({ endpoint, from, to }) => {
        const error = "error" in to ? { error: to.error } : {};
        const fields = { tier: name, endpoint: endpointUrl(endpoint), from: from.t, to: to.t, ...error };
        logger.info("replica health changed", fields);
        directory.refresh();
      },
    });
    const directory = new Directory({
      cluster,
      source: toSource(holder),
      pool,
      peers: () => [],
      heard: () => [],
      isReady: (endpoint) => this.#isReady(name, endpoint),
    });
    directory.subscribe(onChange);
    return { holder, pool, directory };
  }

  #endpointsOf(tier: TierName): readonly Endpoint[] {
    const found = new Map<string, Endpoint>();
    const add = (url: string, name: string): void => {
      const endpoint = parseEndpoint(url);
      if (typeof endpoint === "string") return; // whoever told it has an address that nobody can dial
      found.set(endpointUrl(endpoint), { ...endpoint, name });
    };
    for (const one of this.#options.registered())
      if ((one.tier ?? "grpc-proxy") === tier) add(one.address, one.name);
    for (const one of this.#options.present())
      if (one.tier === tier && one.url !== undefined) add(one.url, one.name);
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
  }

  /** False where a replica itself says that it wants no new clients. */
  #isReady(tier: TierName, endpoint: Endpoint): boolean {
    const url = endpointUrl(endpoint);
    return this.#options.present().every((one) => {
      if (one.tier !== tier || one.notReady === undefined || one.url === undefined) return true;
      const own = parseEndpoint(one.url);
      return typeof own === "string" || endpointUrl(own) !== url;
    });
  }
}

function toSource(holder: EndpointSetHolder) {
  return {
    current: () => holder.current(),
    subscribe: (listener: Parameters<EndpointSetHolder["subscribe"]>[0]) => holder.subscribe(listener),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
