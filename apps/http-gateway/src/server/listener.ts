import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createSecureServer, type ServerHttp2Session } from "node:http2";
import type { Server as NetServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ServerTls } from "@etcd-edge/runtime";

/** What is done with what comes. */
export interface ListenerHandlers {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** A connection, before anything was read of it. */
  readonly onConnection: (socket: Socket) => void;
  /** What requests are read of: the connection itself, or the TLS on it. */
  readonly onSocket: (socket: Socket) => void;
  /** Makes what new connections without TLS go to first. It hands them on. */
  readonly createLane?:
    | ((options: LaneTimes & { readonly toHttp: (socket: Socket) => void }) => Lane)
    | undefined;
}

/** In front of node:http: takes connections, answers what it can, and hands on the others. */
interface Lane extends Disposable {
  add(socket: Socket): void;
  closeIdle(): void;
}

/** How long connections may do nothing, as node:http has it. In milliseconds. */
interface LaneTimes {
  readonly headerTimeoutMs: number;
  /** What clients are told. */
  readonly keepAliveTimeoutMs: number;
  /** What they really have: a request may be under way. */
  readonly idleTimeoutMs: number;
  readonly checkIntervalMs: number;
}

/** A server of HTTP/1.1, behind TLS of HTTP/2 too. Disposing stops what looks after its connections, and closes none. */
export interface Listener extends Disposable {
  readonly server: NetServer;
  /** Closes connections of HTTP/1.1 that carry no request; tells those of HTTP/2 to go. */
  closeIdle(): void;
}

/**
 * Browsers and proxies keep connections for reuse. Ours outlive theirs (60 s is usual), so that it is never we who close
 * one in the moment a request is under way.
 */
const keepAliveTimeoutMs = 75_000;
/** What a connection has beyond that: Node's default. */
const keepAliveBufferMs = 1_000;
/** Go takes headers up to 1 MiB; what is above this limit here gets the same 431. */
const maxHeaderBytes = 64 * 1024;
/** How often connections are looked at whose headers are late. */
const checkIntervalMs = 5_000;
/** Of one connection of HTTP/2; the default of Go's, which etcd has, is 250, and many tabs share a connection. */
const maxConcurrentStreams = 1_000;

export function createListener(
  options: { readonly tls: ServerTls | undefined; readonly headerTimeoutMs: number },
  handlers: ListenerHandlers,
): Listener {
  const connectionsCheckingInterval = Math.min(checkIntervalMs, options.headerTimeoutMs);
  const http1: ServerOptions = {
    // A body may be open as long as its watch lives; the first value of it has a limit of its own.
    requestTimeout: 0,
    headersTimeout: options.headerTimeoutMs,
    connectionsCheckingInterval,
    keepAliveTimeout: keepAliveTimeoutMs,
    keepAliveTimeoutBuffer: keepAliveBufferMs,
    maxHeaderSize: maxHeaderBytes,
    // Everything else that asks for an upgrade (curl --http2 does, in the clear) is answered as if it had not.
    shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === "websocket",
  };
  if (options.tls === undefined) {
    const server = createServer(http1, handlers.onRequest);
    server.on("upgrade", handlers.onUpgrade);
    const lane = handlers.createLane?.({
      toHttp: takeConnections(server),
      headerTimeoutMs: options.headerTimeoutMs,
      keepAliveTimeoutMs,
      idleTimeoutMs: keepAliveTimeoutMs + keepAliveBufferMs,
      checkIntervalMs: connectionsCheckingInterval,
    });
    server.on("connection", handlers.onConnection);
    server.on("connection", handlers.onSocket);
    if (lane !== undefined) server.on("connection", (socket) => lane.add(socket));
    return {
      server,
      closeIdle: () => {
        lane?.closeIdle();
        server.closeIdleConnections();
      },
      [Symbol.dispose]: () => lane?.[Symbol.dispose](),
    };
  }
  const server = createSecureServer({
    ...http1,
    ...options.tls.options,
    allowHTTP1: true,
    handshakeTimeout: options.headerTimeoutMs,
    settings: { maxConcurrentStreams, maxHeaderListSize: maxHeaderBytes, enableConnectProtocol: false },
  });
  options.tls.protect(server);
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
    closeWhenIdle(session);
  });
  // Requests of HTTP/2 are told apart where it matters: see `startAnswer` and `connectionOf`.
  server.on("request", (request, response) =>
    handlers.onRequest(request as unknown as IncomingMessage, response as unknown as ServerResponse),
  );
  server.on("upgrade", handlers.onUpgrade);
  server.on("connection", handlers.onConnection);
  server.on("secureConnection", handlers.onSocket);
  // A handshake that fails is nobody's error but the client's.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return {
    server,
    closeIdle: () => {
      for (const session of sessions) session.close();
      (server as unknown as { closeIdleConnections(): void }).closeIdleConnections();
    },
    [Symbol.dispose]: () => {},
  };
}

/**
 * Takes new connections away from a server's own reader of HTTP. A server that does not listen would do as well, but looks after no
 * connection whose headers are late.
 * @returns what gives it one
 */
function takeConnections(server: HttpServer): (socket: Socket) => void {
  const readers = server.listeners("connection");
  server.removeAllListeners("connection");
  return (socket) => {
    for (const read of readers) read.call(server, socket);
  };
}

/** A connection that carries nothing for as long as one of HTTP/1.1 may is let go. */
function closeWhenIdle(session: ServerHttp2Session): void {
  let open = 0;
  session.on("stream", (stream) => {
    open++;
    stream.once("close", () => open--);
  });
  session.setTimeout(keepAliveTimeoutMs, () => {
    if (open === 0) session.close();
  });
}
