import type { Socket } from "node:net";
import { type Endpoint, endpointKey, type RandomSource } from "@etcd-edge/endpoints";
import type { Clock } from "@etcd-edge/runtime";

/** What carries a connection once it has reached an endpoint. */
type Carrier = {
  readonly endpoint: Endpoint;
  /** Bytes moved so far, both ways. */
  moved(): number;
  destroy(): void;
};

/**
 *   dialing ──reached──▶ relaying ──▶ (forgotten)
 *      └───────nobody, limit, header───────▲
 */
type ConnectionState = { readonly t: "dialing" } | { readonly t: "relaying"; readonly carrier: Carrier };

/** A client connection being served. */
export type Connection = {
  readonly accepted: Socket;
  /** The client's address; behind another proxy the one that proxy named. */
  readonly clientAddress: string;
  state: ConnectionState;
};

export type ConnectionLimits = {
  /** 0: no limit. */
  readonly maxConnections: number;
  /** 0: no limit. */
  readonly maxConnectionsPerAddress: number;
  /** Longest time without a byte in either direction. 0: for ever. */
  readonly idleTimeoutMs: number;
};

/** Looks for idle connections so many times per idle timeout: one is closed at most that part too late. */
const sweepsPerTimeout = 4;

/** All connections being served: counts them against limits, finds the idle ones, closes them in groups. */
export class Connections implements Disposable {
  readonly #limits: ConnectionLimits;
  readonly #clock: Clock;
  readonly #open = new Set<Connection>();
  readonly #perAddress = new Map<string, number>();
  readonly #idleSince = new Map<Connection, { readonly moved: number; readonly atMs: number }>();
  #whenEmpty: (() => void)[] = [];
  #isEnded = false;

  constructor(limits: ConnectionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    if (limits.idleTimeoutMs > 0) this.#sweepLater();
  }

  get size(): number {
    return this.#open.size;
  }

  /** Takes a connection in, unless that would be more than a limit allows. */
  admit(accepted: Socket, clientAddress: string): Connection | "limit" | "address-limit" {
    const { maxConnections, maxConnectionsPerAddress } = this.#limits;
    const fromThere = this.#perAddress.get(clientAddress) ?? 0;
    if (maxConnections > 0 && this.#open.size >= maxConnections) return "limit";
    if (maxConnectionsPerAddress > 0 && fromThere >= maxConnectionsPerAddress) return "address-limit";
    const connection: Connection = { accepted, clientAddress, state: { t: "dialing" } };
    this.#open.add(connection);
    this.#perAddress.set(clientAddress, fromThere + 1);
    return connection;
  }

  forget(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    this.#idleSince.delete(connection);
    const rest = (this.#perAddress.get(connection.clientAddress) ?? 1) - 1;
    if (rest > 0) this.#perAddress.set(connection.clientAddress, rest);
    else this.#perAddress.delete(connection.clientAddress);
    if (this.#open.size > 0) return;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Resolves when nothing is open. */
  empty(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  destroyAll(): void {
    for (const connection of [...this.#open]) cut(connection);
  }

  /** Closes what is connected to an endpoint, spread evenly over a time so that clients do not come back all at once. */
  closeThoseTo(endpoint: Endpoint, withinMs: number, random: RandomSource): number {
    const key = endpointKey(endpoint);
    const there = [...this.#open].filter(
      ({ state }) => state.t === "relaying" && endpointKey(state.carrier.endpoint) === key,
    );
    for (const connection of there) {
      this.#clock.setTimer(random() * withinMs, () => {
        if (this.#open.has(connection)) cut(connection);
      });
    }
    return there.length;
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
  }

  #sweepLater(): void {
    this.#clock.setTimer(this.#limits.idleTimeoutMs / sweepsPerTimeout, () => {
      if (this.#isEnded) return;
      this.#sweep();
      this.#sweepLater();
    });
  }

  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const connection of [...this.#open]) {
      const { state } = connection;
      if (state.t !== "relaying") continue;
      const moved = state.carrier.moved();
      const seen = this.#idleSince.get(connection);
      if (seen === undefined || seen.moved !== moved) this.#idleSince.set(connection, { moved, atMs: nowMs });
      else if (nowMs - seen.atMs >= this.#limits.idleTimeoutMs) cut(connection);
    }
  }
}

function cut({ accepted, state }: Connection): void {
  if (state.t === "relaying") state.carrier.destroy();
  else accepted.destroy();
}
