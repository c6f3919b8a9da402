import type { Server as HttpServer } from "node:http";
import {
  createServer as createNetServer,
  type ListenOptions,
  type Server as NetServer,
  type Socket,
} from "node:net";
import {
  createServer as createTlsServer,
  type TLSSocket,
  type TlsOptions,
  type Server as TlsServer,
} from "node:tls";
import { createCounters, type TransportCounters } from "../counters.ts";
import { ByteBudget } from "../http2/byte-budget.ts";
import { CLIENT_PREFACE, SettingId } from "../http2/constants.ts";
import { Heartbeat } from "../http2/heartbeat.ts";
import type { KeepaliveOptions } from "../http2/keepalive.ts";
import { type ConnectionLimits, serverLimits } from "../http2/limits.ts";
import type { PingPolicyOptions } from "./ping-policy.ts";
import type { ServerCall, ServerSink } from "./server-call.ts";
import { isGrpcContentType, ServerConnection, type ServerConnectionOptions } from "./server-connection.ts";
import { sniff } from "./sniffer.ts";

/** Things a server tells besides calls; for logs. */
export type ServerEvent<C> =
  | { readonly t: "connectionOpened"; readonly connection: ServerConnection<C> }
  | { readonly t: "connectionClosed"; readonly connection: ServerConnection<C>; readonly reason: string }
  | { readonly t: "connectionRejected"; readonly address: string; readonly reason: string }
  | { readonly t: "handlerFailed"; readonly call: ServerCall<C>; readonly error: unknown };

/** What a server is made of. All durations in milliseconds. */
export interface ServerOptions<C> {
  /** A call began: returns what consumes it. May already answer it. */
  readonly onCall: (call: ServerCall<C>) => ServerSink<C>;
  /** Makes the application's own state of a connection, found as `call.client.data`. */
  readonly createData: (connection: ServerConnection<C>) => C;
  /** TLS if given. `ALPNCallback` is set here: h2 is preferred, http/1.1 accepted where `http1` is given. */
  readonly tls?: TlsOptions;
  /**
   * Gets the TLS listener before it listens: for what is to be done before a handshake (a new context), or right after
   * one (destroying the socket refuses the client).
   */
  readonly onTlsListener?: (listener: TlsServer) => void;
  /**
   * Takes the connections that speak HTTP/1; without it they are closed. Its times (`headersTimeout`) count as if it listened
   * itself. It is not closed here.
   */
  readonly http1?: HttpServer;
  readonly limits?: Partial<ConnectionLimits>;
  /**
   * SETTINGS_MAX_CONCURRENT_STREAMS; 4294967295 by default, as etcd has it. What is enforced is no more than
   * `limits.maxOpenStreams`.
   */
  readonly maxConcurrentStreams?: number;
  /** Connections at once, of any protocol; unlimited by default. */
  readonly maxConnections?: number;
  /** As `limits.maxHeldBytes`, for all connections together; 512 MiB by default. */
  readonly maxTotalHeldBytes?: number;
  /** As `limits.maxQueuedBytes`, for all connections together; 512 MiB by default. */
  readonly maxTotalQueuedBytes?: number;
  /** Our own pings; by default after 2 h of silence with 20 s for the answer. */
  readonly keepalive?: Partial<KeepaliveOptions>;
  /** How often clients may ping; by default every 5 s, and only while a call is open. */
  readonly pingPolicy?: Partial<PingPolicyOptions>;
  /** Drains a connection of this age, give or take a tenth, so that clients spread again; 0 never does. */
  readonly maxConnectionAgeMs?: number;
  /** What a drained old connection may take to end its calls; 0 is for ever. */
  readonly maxConnectionAgeGraceMs?: number;
  /**
   * Which requests are calls; by default POST with `application/grpc`, also with `+…` or `;…` after it. Others are
   * answered 415 or 405, with a gRPC status beside.
   */
  readonly acceptRequest?: (method: string, contentType: string) => boolean;
  /** Shared with others if given. */
  readonly counters?: TransportCounters;
  readonly onEvent?: (event: ServerEvent<C>) => void;
}

const DEFAULT_TOTAL_BYTES = 512 * 1024 * 1024;

/** A gRPC server that hands out raw calls. Listens itself, or is fed with sockets. */
export class Server<C = unknown> implements AsyncDisposable {
  readonly counters: TransportCounters;
  /** HTTP/2 connections that are open. */
  readonly connections: Set<ServerConnection<C>> = new Set();
  readonly #options: ServerOptions<C>;
  readonly #connectionOptions: ServerConnectionOptions<C>;
  readonly #listener: NetServer;
  readonly #heartbeat: Heartbeat;
  /** Sockets of every protocol, from arrival on. */
  readonly #sockets = new Set<Socket>();
  #isDraining = false;
  readonly #idleWaiters = new Set<() => void>();

  constructor(options: ServerOptions<C>) {
    this.#options = options;
    this.counters = options.counters ?? createCounters();
    const limits: ConnectionLimits = { ...serverLimits, ...options.limits };
    const keepalive: KeepaliveOptions = {
      timeMs: 7_200_000,
      timeoutMs: 20_000,
      withoutStreams: true,
      ...options.keepalive,
    };
    this.#heartbeat = new Heartbeat(
      shortest([
        limits.handshakeTimeoutMs,
        limits.settingsAckTimeoutMs,
        limits.headerTimeoutMs,
        limits.writeStallTimeoutMs,
        limits.streamStallTimeoutMs,
        keepalive.timeMs,
        keepalive.timeoutMs,
        options.maxConnectionAgeMs ?? 0,
        options.maxConnectionAgeGraceMs ?? 0,
      ]),
    );
    const maxConcurrentStreams = options.maxConcurrentStreams ?? 0xffff_ffff;
    this.#connectionOptions = {
      limits,
      keepalive,
      counters: this.counters,
      totalHeld: new ByteBudget(options.maxTotalHeldBytes ?? DEFAULT_TOTAL_BYTES),
      totalQueued: new ByteBudget(options.maxTotalQueuedBytes ?? DEFAULT_TOTAL_BYTES),
      settings: [[SettingId.maxConcurrentStreams, maxConcurrentStreams]],
      maxConcurrentStreams,
      pingPolicy: { minTimeMs: 5000, permitWithoutStreams: false, ...options.pingPolicy },
      acceptRequest:
        options.acceptRequest ??
        ((method, contentType) => method === "POST" && isGrpcContentType(contentType)),
      onCall: options.onCall,
      createData: options.createData,
      onHandlerError: (error, call) => this.#onHandlerError(error, call),
      onClosed: (connection, reason) => this.#onClosed(connection, reason),
    };
    // It never listens itself, and only where it does Node keeps the times of its connections and knows the idle ones.
    if (options.http1?.listening === false) options.http1.emit("listening");
    this.#listener =
      options.tls === undefined ? createNetServer() : this.#createTlsServer(options.tls, limits);
    // With TLS a socket counts from the moment it arrives, for handshakes cost most of all.
    this.#listener.on("connection", (socket: Socket) => {
      if (this.#admit(socket) && options.tls === undefined) this.#start(socket);
    });
    this.#listener.on("secureConnection", (socket: Socket) => {
      socket.on("error", ignoreError);
      if (!socket.destroyed) this.#start(socket);
    });
  }

  /** Binds and listens. @returns the bound address. Rejects when it cannot bind. */
  listen(options: ListenOptions): Promise<{ readonly address: string; readonly port: number }> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen(options, () => {
        this.#listener.off("error", reject);
        const bound = this.#listener.address();
        resolve(
          typeof bound === "object" && bound !== null
            ? { address: bound.address, port: bound.port }
            : { address: options.path ?? "", port: 0 },
        );
      });
    });
  }

  /** Takes a connected socket (after TLS, if any) and owns it from now on. */
  handleSocket(socket: Socket): void {
    if (this.#admit(socket)) this.#start(socket);
  }

  /** Counts a socket that arrived, or closes it when there are too many. */
  #admit(socket: Socket): boolean {
    socket.on("error", ignoreError);
    const { maxConnections = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#isDraining || this.#sockets.size >= maxConnections) {
      this.counters.connectionsRefused++;
      this.#emitRejected(socket, this.#isDraining ? "server is shutting down" : "too many connections");
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#checkIdle();
    });
    return true;
  }

  #start(socket: Socket): void {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    const timer = setTimeout(() => {
      this.counters.handshakeTimeouts++;
      this.#emitRejected(socket, "no request in time");
      socket.destroy();
    }, this.#connectionOptions.limits.handshakeTimeoutMs);
    timer.unref();
    const stopSniffing = sniff(socket, (result) => {
      clearTimeout(timer);
      switch (result.t) {
        case "http2":
          this.#startHttp2(socket, result.head);
          break;
        case "http1":
          this.#startHttp1(socket, result.head);
          break;
        case "unknown":
          this.counters.unknownProtocolConnections++;
          this.#emitRejected(socket, "neither HTTP/2 nor HTTP/1");
          socket.destroy();
          break;
        default:
          result satisfies never;
      }
    });
    socket.once("close", () => {
      clearTimeout(timer);
      stopSniffing();
    });
  }

  /** New certificates for new connections. @throws Error unless the server was made with `tls`. */
  setSecureContext(options: TlsOptions): void {
    const listener = this.#listener;
    if (!("setSecureContext" in listener) || typeof listener.setSecureContext !== "function") {
      throw new Error("the server does not use TLS");
    }
    listener.setSecureContext(options);
  }

  /**
   * Stops: no new connections, GOAWAY to all clients, then waits for the calls until `graceMs` is over, then ends what
   * is left. HTTP/1 connections that were handed over count too; close their server to speed them up.
   */
  async close(graceMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#listener.listening) this.#listener.close();
    for (const connection of this.connections) connection.drain();
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#idleWaiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, graceMs);
      this.#idleWaiters.add(done);
      this.#checkIdle();
    });
    this.destroy();
  }

  /** Ends everything now. */
  destroy(): void {
    this.#isDraining = true;
    if (this.#listener.listening) this.#listener.close();
    for (const connection of [...this.connections]) connection.destroy("server destroyed");
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }

  #createTlsServer(tls: TlsOptions, limits: ConnectionLimits): NetServer {
    const server = createTlsServer({
      handshakeTimeout: limits.handshakeTimeoutMs,
      ...tls,
      // A client that offers only protocols we do not speak gets the alert no_application_protocol.
      ALPNCallback: ({ protocols }) => {
        if (protocols.includes("h2")) return "h2";
        return this.#options.http1 !== undefined && protocols.includes("http/1.1") ? "http/1.1" : undefined;
      },
    });
    server.on("tlsClientError", (error: Error & { code?: string }, socket: TLSSocket) => {
      if (error.code === "ERR_TLS_HANDSHAKE_TIMEOUT") this.counters.handshakeTimeouts++;
      else this.counters.tlsErrors++;
      this.#emitRejected(socket, error.message);
      socket.destroy();
    });
    this.#options.onTlsListener?.(server);
    return server;
  }

  #startHttp2(socket: Socket, head: Buffer): void {
    const connection = new ServerConnection<C>(socket, this.#connectionOptions);
    this.connections.add(connection);
    this.#heartbeat.add(connection);
    this.#options.onEvent?.({ t: "connectionOpened", connection });
    const age = this.#options.maxConnectionAgeMs ?? 0;
    if (age > 0)
      connection.limitAge(age * (0.9 + Math.random() * 0.2), this.#options.maxConnectionAgeGraceMs ?? 0);
    if (this.#isDraining) connection.drain();
    socket.on("data", (chunk: Buffer) => connection.read(chunk));
    // A client that closes its side has no use for answers: HTTP/2 ends both sides together.
    socket.once("end", () => connection.onSocketClosed("client closed the connection"));
    socket.once("close", () => connection.onSocketClosed("connection lost"));
    if (head.length > CLIENT_PREFACE.length) connection.read(head.subarray(CLIENT_PREFACE.length));
  }

  #startHttp1(socket: Socket, head: Buffer): void {
    const { http1 } = this.#options;
    if (http1 === undefined) {
      this.counters.unknownProtocolConnections++;
      this.#emitRejected(socket, "HTTP/1 is not served");
      socket.destroy();
      return;
    }
    this.counters.http1Connections++;
    socket.off("error", ignoreError);
    http1.emit("connection", socket);
    socket.unshift(head);
  }

  #onHandlerError(error: unknown, call: ServerCall<C>): void {
    const { onEvent } = this.#options;
    if (onEvent !== undefined) {
      onEvent({ t: "handlerFailed", call, error });
      return;
    }
    // Nobody listens: an error must not vanish.
    process.nextTick(() => {
      throw error;
    });
  }

  #onClosed(connection: ServerConnection<C>, reason: string): void {
    this.connections.delete(connection);
    this.#heartbeat.delete(connection);
    connection.socket.destroySoon();
    this.#options.onEvent?.({ t: "connectionClosed", connection, reason });
  }

  #emitRejected(socket: Socket, reason: string): void {
    this.#options.onEvent?.({ t: "connectionRejected", address: socket.remoteAddress ?? "", reason });
  }

  #checkIdle(): void {
    if (this.#sockets.size > 0) return;
    for (const waiter of [...this.#idleWaiters]) waiter();
  }
}

/** The reason of a broken socket arrives with `close`; without a listener `error` would end the process. */
function ignoreError(): void {
  // Nothing to do: see above.
}

function shortest(timeoutsMs: readonly number[]): number {
  return Math.min(...timeoutsMs.filter((ms) => ms > 0));
}
