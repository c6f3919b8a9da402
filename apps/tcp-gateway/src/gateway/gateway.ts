import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type Endpoint, endpointAddress, endpointKey } from "@etcd-edge/endpoints";
import { ConfigError, formatHostPort, type HostPort, type Logger, type Service } from "@etcd-edge/runtime";
import { BufferPool } from "../pump/buffer-pool.ts";
import { Direction } from "../pump/direction.ts";
import { startRelay } from "../pump/relay.ts";
import { dialAny, keepAliveMs } from "./dial.ts";
import type { GatewayCounters } from "./gateway-metrics.ts";

/** Whom to connect to, and what became of it. */
type Upstreams = {
  /** The endpoint to try next, or undefined if there is nobody left. */
  pick(tried: ReadonlySet<string>): Endpoint | undefined;
  reportUnreachable(endpoint: Endpoint, error: string): void;
};

export type GatewayOptions = {
  readonly upstreams: Upstreams;
  readonly dialTimeoutMs: number;
  /** 0: no limit. */
  readonly maxConnections: number;
  readonly counters: GatewayCounters;
  readonly logger: Logger;
};

/** How many connections wait for the process to take them, as Go asks for. The kernel has the last word. */
const backlog = 4096;

/**
 * The listener and the connections behind it.
 *
 *    accepted ──▶ dialing ──connected──▶ relaying ──both ends closed──▶ gone
 *        │           │ nobody, local failure                              ▲
 *        └──limit────┴──────────── closed at once, no bytes ──────────────┘
 */
export class Gateway implements Service {
  readonly #options: GatewayOptions;
  readonly #pool = new BufferPool();
  readonly #server: Server;
  readonly #open = new Map<Socket, { destroy(): void }>();
  readonly #received = new Map<string, { bytes: number }>();
  readonly #closed: Promise<unknown>;
  #idleWaiters: (() => void)[] = [];
  #isDraining = false;

  private constructor(options: GatewayOptions) {
    this.#options = options;
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
  static async listen({ host, port }: HostPort, options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    const server = gateway.#server;
    server.listen(host === "" ? { port, backlog } : { host, port, backlog });
    try {
      await once(server, "listening");
    } catch (error) {
      throw new ConfigError(listenErrorText(error, { host, port }), { cause: error });
    }
    // etcd's gateway ends here, silently and with status 0, when descriptors run out. What is open goes on.
    server.on("error", (error) => {
      options.counters.acceptFailed();
      options.logger.warn("failed to accept a connection", { error });
    });
    return gateway;
  }

  /** Where it listens, with the port it got. */
  get address(): HostPort {
    const bound = this.#server.address();
    return bound !== null && typeof bound === "object"
      ? { host: bound.address, port: bound.port }
      : { host: "", port: 0 };
  }

  get openConnections(): number {
    return this.#open.size;
  }

  /** Bytes ever received from an endpoint: a number that changes is a sign of life. */
  bytesFrom(endpoint: Endpoint): number {
    return this.#received.get(endpointKey(endpoint))?.bytes ?? 0;
  }

  async drain(deadline: AbortSignal): Promise<void> {
    this.#stopAccepting();
    const cut = new Promise<void>((resolve) => {
      if (deadline.aborted) resolve();
      else deadline.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([this.#whenIdle(), cut]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopAccepting();
    for (const connection of [...this.#open.values()]) connection.destroy();
    await Promise.all([this.#whenIdle(), this.#closed]);
  }

  #stopAccepting(): void {
    this.#isDraining = true;
    if (this.#server.listening) this.#server.close();
  }

  #whenIdle(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  async #serve(accepted: Socket): Promise<void> {
    const { upstreams, dialTimeoutMs, counters, logger } = this.#options;
    counters.accepted();
    accepted.on("error", () => undefined); // its close is handled wherever it is then
    if (!this.#admit(accepted)) return;
    const fromClient = new Direction(this.#pool, (count) => {
      counters.fromClients += count;
    });
    let fromUpstream = fromClient; // replaced by each attempt
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
    if (result.t !== "connected") {
      if (result.t === "local-failure") logger.warn("failed to dial, this host is out of resources", result);
      counters.refused(result.t === "nobody" ? "no-endpoint" : "local-failure");
      accepted.destroy();
      this.#forget(accepted);
      return;
    }
    const upstream = result.socket;
    if (accepted.destroyed) {
      upstream.destroy(); // cut while dialing
      this.#forget(accepted);
      return;
    }
    const relay = startRelay({ accepted, upstream, fromClient, fromUpstream });
    this.#open.set(accepted, relay);
    if (logger.isEnabled("debug")) logger.debug("connected", { address: endpointAddress(result.endpoint) });
    await relay.closed;
    this.#forget(accepted);
  }

  #admit(accepted: Socket): boolean {
    const { maxConnections, counters } = this.#options;
    const isFull = maxConnections > 0 && this.#open.size >= maxConnections;
    if (!isFull && !this.#isDraining) {
      this.#open.set(accepted, accepted);
      return true;
    }
    counters.refused(isFull ? "limit" : "draining");
    accepted.destroy();
    return false;
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

  #forget(accepted: Socket): void {
    this.#open.delete(accepted);
    if (this.#open.size > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

function listenErrorText(error: unknown, address: HostPort): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const where = `listen tcp ${formatHostPort(address)}: bind`;
  if (code === "EADDRINUSE") return `${where}: address already in use`;
  if (code === "EADDRNOTAVAIL") return `${where}: cannot assign requested address`;
  if (code === "EACCES") return `${where}: permission denied`;
  return `${where}: ${error instanceof Error ? error.message : String(error)}`;
}
