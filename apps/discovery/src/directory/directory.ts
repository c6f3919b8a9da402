import { createHash } from "node:crypto";
import {
  type Endpoint,
  type EndpointHealth,
  type EndpointPool,
  type EndpointSource,
  endpointUrl,
  parseEndpoint,
} from "@etcd-edge/endpoints";
import type { AnnouncedEndpoint } from "@etcd-edge/fabric";

/** One upstream and whether it would be used. */
export type DirectoryEntry = {
  readonly endpoint: Endpoint;
  /** `heard`: known from other replicas only. */
  readonly health: EndpointHealth["t"] | "heard";
  readonly isAlive: boolean;
};

/** The endpoint set of one cluster as this replica tells it. Immutable. */
export type DirectoryView = {
  readonly cluster: string;
  /** Grows with every change at this replica. */
  readonly version: number;
  /** The same for the same content at every replica: what ETags are made of. */
  readonly digest: string;
  readonly entries: readonly DirectoryEntry[];
  readonly peers: readonly Endpoint[];
};

export type DirectoryOptions = {
  readonly cluster: string;
  readonly source: EndpointSource;
  readonly pool: EndpointPool;
  readonly peers: () => readonly Endpoint[];
  /** What other replicas say; told while this one knows of nobody itself. */
  readonly heard: () => readonly AnnouncedEndpoint[];
  /** Whether an endpoint that is well wants clients. Default: every one does. */
  readonly isReady?: (endpoint: Endpoint) => boolean;
};

/** Joins who is in the set with how they are, and makes a version of every change. */
export class Directory {
  readonly #options: DirectoryOptions;
  readonly #listeners = new Set<(view: DirectoryView) => void>();
  #view: DirectoryView;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    const content = { cluster: options.cluster, entries: [], peers: [] };
    this.#view = { ...content, version: 0, digest: digestOf(content) };
  }

  current(): DirectoryView {
    return this.#view;
  }

  /** Calls `listener` after every change. Returns the way to stop that. */
  subscribe(listener: (view: DirectoryView) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** To be called when anything it was made from may have changed. */
  refresh(): void {
    const { cluster, peers } = this.#options;
    const content = { cluster, entries: this.#entries(), peers: peers() };
    const digest = digestOf(content);
    const isChanged = digest !== this.#view.digest;
    // What clients do not act on (ejected or unknown, suspect or healthy) is kept fresh without waking anybody.
    this.#view = { ...content, digest, version: this.#view.version + (isChanged ? 1 : 0) };
    if (!isChanged) return;
    for (const listener of [...this.#listeners]) listener(this.#view);
  }

  /** What this replica found out itself, for others: never what it heard from them. */
  own(): readonly DirectoryEntry[] {
    const { pool, isReady } = this.#options;
    return pool.snapshot().map(({ endpoint, health }) => ({
      endpoint,
      health: health.t,
      isAlive: (health.t === "healthy" || health.t === "suspect") && isReady?.(endpoint) !== false,
    }));
  }

  #entries(): readonly DirectoryEntry[] {
    const { source, heard } = this.#options;
    if (source.current().endpoints.length > 0) return this.own();
    return heard().flatMap(({ url, priority, weight, name, alive }): DirectoryEntry[] => {
      const endpoint = parseEndpoint(url);
      if (typeof endpoint === "string") return [];
      const named = { ...endpoint, priority, weight, ...(name === undefined ? {} : { name }) };
      return [{ endpoint: named, health: "heard", isAlive: alive }];
    });
  }
}

/** Over what clients act on. */
function digestOf({ cluster, entries, peers }: Pick<DirectoryView, "cluster" | "entries" | "peers">): string {
  const rows = entries.map(({ endpoint, isAlive }) => [
    endpointUrl(endpoint),
    endpoint.priority,
    endpoint.weight,
    endpoint.name ?? null,
    isAlive,
  ]);
  const text = JSON.stringify([
    cluster,
    rows.map((row) => JSON.stringify(row)).sort(),
    peers.map(endpointUrl).sort(),
  ]);
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}
