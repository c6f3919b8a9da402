import { type Endpoint, endpointKey } from "./endpoint.ts";

/** Who is upstream, at one moment. Immutable: a change is a new set with a higher version. */
export type EndpointSet = {
  /** Grows by one with every change seen by the source; comparable within one source only. */
  readonly version: number;
  /** Each upstream once, in the order its source gave. May be empty: the source answered, and there is nobody. */
  readonly endpoints: readonly Endpoint[];
};

export type EndpointSetListener = (set: EndpointSet) => void;

/** Something that knows an endpoint set and says when it changes. Whoever created a source disposes it. */
export type EndpointSource = AsyncDisposable & {
  /** The newest set; version 0 without endpoints while nothing has been learned yet. */
  current(): EndpointSet;
  /** Calls `listener` after every change from now on. Returns the way to stop that. */
  subscribe(listener: EndpointSetListener): () => void;
};

const emptyEndpointSet: EndpointSet = { version: 0, endpoints: [] };

/** The first of each group of endpoints that lead to the same place. */
export function uniqueEndpoints(endpoints: readonly Endpoint[]): Endpoint[] {
  const byKey = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const key = endpointKey(endpoint);
    if (!byKey.has(key)) byKey.set(key, endpoint);
  }
  return [...byKey.values()];
}

/** True if both lists say the same: same upstreams with the same properties. Order does not matter. */
export function hasSameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  if (a.length !== b.length) return false;
  const texts = new Set(a.map(describe));
  return b.every((endpoint) => texts.has(describe(endpoint)));
}

function describe(endpoint: Endpoint): string {
  const { scheme, priority, weight, name } = endpoint;
  return JSON.stringify([endpointKey(endpoint), scheme, priority, weight, name ?? null]);
}

/** The writable end of a source: holds the current set, hands out versions, calls listeners. */
export class EndpointSetHolder {
  #current: EndpointSet = emptyEndpointSet;
  readonly #listeners = new Set<EndpointSetListener>();

  current(): EndpointSet {
    return this.#current;
  }

  subscribe(listener: EndpointSetListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Takes over a list; a list that says what the current set says makes no new version (the first list always does). */
  update(endpoints: readonly Endpoint[]): EndpointSet {
    const unique = uniqueEndpoints(endpoints);
    const isFirst = this.#current.version === 0;
    if (isFirst || !hasSameEndpoints(this.#current.endpoints, unique)) {
      this.#current = { version: this.#current.version + 1, endpoints: unique };
      for (const listener of [...this.#listeners]) listener(this.#current);
    }
    return this.#current;
  }
}
