import { createServer, type Server, type Socket } from "node:net";
import { type Endpoint, endpointAddress, endpointKey } from "@etcd-edge/endpoints";
import type { Clock, Logger, Service } from "@etcd-edge/runtime";
import type { ListenAddress } from "../address-checks.ts";
import {
  encodeOwnHeader,
  encodeProxyHeader,
  type ProxiedConnection,
} from "../proxy-protocol/proxy-header.ts";
import { type ProxiedStart, readProxyHeader } from "../proxy-protocol/read-proxy-header.ts";
import { BufferPool } from "../pump/buffer-pool.ts";
import { Direction } from "../pump/direction.ts";
import { startRelay } from "../pump/relay.ts";
import { type Connection, type ConnectionLimits, Connections } from "./connections.ts";
import { type DialResult, dialAny, keepAliveMs } from "./dial.ts";
import type { GatewayCounters, RefusalReason } from "./gateway-metrics.ts";
import { listenText, openListener } from "./open-listener.ts";

/** Whom to connect to, and what became of it. */
type Upstreams = {
  /** The endpoint to try next, or undefined if there is nobody left. */
  pick(tried: ReadonlySet<string>): Endpoint | undefined;
  reportUnreachable(endpoint: Endpoint, error: string): void;
};

export type GatewayOptions = {
  readonly upstreams: Upstreams;
  readonly dialTimeoutMs: number;
  readonly limits: ConnectionLimits;
  /** Clients must begin with a PROXY header. */
  readonly acceptsProxyHeader: boolean;
  /** Endpoints are sent a PROXY header of this version. */
  readonly sendsProxyHeader: 1 | 2 | undefined;
  /** Several processes may listen on the address at a time (SO_REUSEPORT). */
  readonly reusePort: boolean;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
  readonly clock: Clock;
};

/** A proxy in front of us sends its header at once. */
const proxyHeaderTimeoutMs = 5_000;

/**
 * The listener and the connections behind it.
 *
 *    accepted ──▶ (PROXY header) ──▶ dialing ──connected──▶ relaying ──both ends closed──▶ gone
 *        │              │ none          │ nobody, local failure                              ▲
 *        └──limit───────┴───────────────┴──────────── closed at once, no bytes ──────────────┘
 */
export class Gateway implements Service {
  readonly #options: GatewayOptions;
  readonly #pool = new BufferPool();
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #received = new Map<string, { bytes: number }>();
  readonly #closed: Promise<unknown>;
  /** Connections whose PROXY header is awaited. */
  readonly #arriving = new Set<Socket>();
  #isUnix = false;
  #isEnded = false;

  private constructor(options: GatewayOptions) {
    this.#options = options;
    this.#connections = new Connections(options.limits, options.clock);
    this.#server = createServer(
      {
        allowHalfOpen: true,
        pauseOnConnect: true, // nothing may be read before there is somebody to read it for
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveMs,
      },
      (socket) => void this.#serve(socket),
    );
    this.#closed = new Promise((resolve) => this.#server.once("close", resolve));
  }

  /** Opens the listener. @throws ConfigError if the address cannot be had */
  static async listen(address: ListenAddress, options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    await openListener(gateway.#server, address, options.reusePort);
    gateway.#isUnix = address.path !== undefined;
    // etcd's gateway ends here, silently and with status 0, when descriptors run out. What is open goes on.
    gateway.#server.on("error", (error) => {
      options.counters.acceptFailed();
      options.logger.warn("failed to accept a connection", { error });
    });
    return gateway;
  }

  /** Where it listens, as flags have it, with the port it got. */
  get address(): string {
    return listenText(this.#server);
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  /** Bytes ever received from an endpoint: a number that changes is a sign of life. */
  bytesFrom(endpoint: Endpoint): number {
    return this.#received.get(endpointKey(endpoint))?.bytes ?? 0;
  }

  /** Closes the connections to an endpoint that left, spread over `withinMs`. Answers how many there are. */
  leave(endpoint: Endpoint, withinMs: number): number {
    this.#received.delete(endpointKey(endpoint));
    return this.#connections.closeThoseTo(endpoint, withinMs, Math.random);
  }

  async drain(deadline: AbortSignal): Promise<void> {
    this.#stopAccepting();
    this.#options.logger.info("stopped accepting connections", {
      "open-connections": this.#connections.size,
    });
    const cut = new Promise<void>((resolve) => {
      if (deadline.aborted) resolve();
      else deadline.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([this.#connections.empty(), cut]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    this.#stopAccepting();
    for (const socket of this.#arriving) socket.destroy();
    this.#connections.destroyAll();
    await Promise.all([this.#connections.empty(), this.#closed]);
    this.#connections[Symbol.dispose]();
  }

  #stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
  }

  async #serve(accepted: Socket): Promise<void> {
    const { counters, acceptsProxyHeader } = this.#options;
    counters.accepted();
    accepted.on("error", () => undefined); // its close is handled wherever it is then
    const start = acceptsProxyHeader ? await this.#readHeader(accepted) : undefined;
    if (acceptsProxyHeader && start === undefined) {
      this.#refuse(accepted, "proxy-header");
      return;
    }
    const ends = start?.connection ?? endsOf(accepted, this.#isUnix);
    // While draining, what was accepted in the last moment is served like what came before.
    const connection = this.#isEnded ? "ended" : this.#connections.admit(accepted, ends.sourceAddress);
    if (typeof connection === "string") {
      this.#refuse(accepted, connection);
      return;
    }
    try {
      await this.#carry(connection, ends, start?.rest);
    } finally {
      this.#connections.forget(connection);
    }
  }

  async #readHeader(accepted: Socket): Promise<ProxiedStart | undefined> {
    this.#arriving.add(accepted);
    try {
      return await readProxyHeader(accepted, proxyHeaderTimeoutMs);
    } finally {
      this.#arriving.delete(accepted);
    }
  }

  /** From admission to the end of both sides. `rest`: bytes read from the client already. */
  async #carry(connection: Connection, ends: ProxiedConnection, rest: Buffer | undefined): Promise<void> {
    const { counters, logger, sendsProxyHeader } = this.#options;
    const { accepted } = connection;
    const fromClient = new Direction(this.#pool, (count) => {
      counters.fromClients += count;
    });
    const { result, fromUpstream } = await this.#dial(accepted);
    if (result.t !== "connected") {
      if (result.t === "local-failure") logger.warn("failed to dial, this host is out of resources", result);
      this.#refuse(accepted, result.t === "nobody" ? "no-endpoint" : "local-failure");
      return;
    }
    const { socket: upstream, endpoint } = result;
    if (accepted.destroyed) {
      upstream.destroy(); // cut while dialing
      return;
    }
    if (sendsProxyHeader !== undefined) upstream.write(toHeader(ends, sendsProxyHeader));
    if (rest !== undefined && rest.length > 0) upstream.write(rest);
    const relay = startRelay({
      accepted,
      isReadBefore: rest !== undefined,
      upstream,
      fromClient,
      fromUpstream,
    });
    const moved = (): number => fromClient.bytes + fromUpstream.bytes;
    connection.state = { t: "relaying", carrier: { endpoint, moved, destroy: () => relay.destroy() } };
    if (logger.isEnabled("debug")) {
      logger.debug("connected", { address: endpointAddress(endpoint), client: ends.sourceAddress });
    }
    await relay.closed;
  }

  async #dial(accepted: Socket): Promise<{ result: DialResult; fromUpstream: Direction }> {
    const { upstreams, dialTimeoutMs, counters } = this.#options;
    let fromUpstream = new Direction(this.#pool, () => undefined); // replaced by each attempt
    const result = await dialAny({
      pick: (tried) => (accepted.destroyed ? undefined : upstreams.pick(tried)),
      timeoutMs: dialTimeoutMs,
      onread: (endpoint) => {
        fromUpstream = this.#directionFrom(endpoint);
        return fromUpstream.onread;
      },
      onFailure: (endpoint, error) => {
        counters.dialFailed(endpoint);
        upstreams.reportUnreachable(endpoint, error);
      },
    });
    return { result, fromUpstream };
  }

  #refuse(accepted: Socket, reason: RefusalReason): void {
    this.#options.counters.refused(reason);
    accepted.destroy();
  }

  #directionFrom(endpoint: Endpoint): Direction {
    const key = endpointKey(endpoint);
    const { counters } = this.#options;
    const received = this.#received.get(key) ?? { bytes: 0 };
    this.#received.set(key, received);
    return new Direction(this.#pool, (count) => {
      counters.fromUpstreams += count;
      received.bytes += count;
    });
  }
}

/** Who comes over a unix socket has no address that an endpoint could be told. */
const unixClient = "unix";

function toHeader(ends: ProxiedConnection, version: 1 | 2): Buffer {
  return ends.sourceAddress === unixClient ? encodeOwnHeader(version) : encodeProxyHeader(ends, version);
}

function endsOf(accepted: Socket, isUnix: boolean): ProxiedConnection {
  if (isUnix) {
    return { sourceAddress: unixClient, sourcePort: 0, destinationAddress: unixClient, destinationPort: 0 };
  }
  const { remoteAddress, remotePort, localAddress, localPort } = accepted;
  return {
    sourceAddress: remoteAddress ?? "0.0.0.0", // gone already: it will be noticed soon
    sourcePort: remotePort ?? 0,
    destinationAddress: localAddress ?? "0.0.0.0",
    destinationPort: localPort ?? 0,
  };
}
