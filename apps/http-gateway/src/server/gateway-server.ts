import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { ConfigError, formatHostPort, type HostPort, type ServerTls } from "@etcd-edge/runtime";
import { type DoorOptions, serveHttp } from "../door/http-door.ts";
import { findRoute } from "../door/routes.ts";
import { decide, type FrontRules } from "../front/front.ts";
import type { Pages } from "../pages/pages.ts";
import type { WebSocketDoor } from "../websocket/websocket-door.ts";
import type { DoorMetrics } from "./door-metrics.ts";

export interface GatewayServerOptions {
  readonly address: HostPort;
  readonly tls: ServerTls | undefined;
  readonly front: FrontRules;
  readonly door: DoorOptions;
  readonly webSockets: WebSocketDoor;
  readonly pages: Pages;
  readonly metrics: DoorMetrics;
}

/** A listening gateway. Disposing cuts whatever is open; twice is fine. */
export interface GatewayServer extends AsyncDisposable {
  /** With port 0 asked, the port it got. */
  readonly url: string;
  /** Takes no more connections; resolves when the last one is gone. */
  closeGently(): Promise<void>;
}

/**
 * Browsers and proxies keep connections for reuse. Ours outlive theirs (60 s is usual), so that it is never we who close
 * one in the moment a request is under way.
 */
const keepAliveTimeoutMs = 75_000;
/** Go takes headers up to 1 MiB; what is above this limit here gets the same 431. */
const maxHeaderBytes = 64 * 1024;

const serverOptions: ServerOptions = {
  // A body may be open as long as its watch lives.
  requestTimeout: 0,
  headersTimeout: 60_000,
  keepAliveTimeout: keepAliveTimeoutMs,
  maxHeaderSize: maxHeaderBytes,
  // Everything else that asks for an upgrade (curl --http2 does, in the clear) is answered as if it had not.
  shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === "websocket",
};

/** @throws ConfigError where the address cannot be bound */
export async function startGatewayServer(options: GatewayServerOptions): Promise<GatewayServer> {
  const server: Server =
    options.tls === undefined ? createServer(serverOptions) : protectedServer(options.tls);
  let closing = false;
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    // A connection that was busy when we began to close is closed by nobody else.
    response.once("close", () => {
      if (closing) setImmediate(() => server.closeIdleConnections());
    });
    onRequest(options, request, response);
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    onUpgrade(options, request, socket, head),
  );
  const { host, port } = options.address;
  server.listen(host === "" ? { port } : { host, port });
  try {
    await once(server, "listening");
  } catch (error) {
    const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    const why = taken ? "address already in use" : String(error);
    throw new ConfigError(`listen tcp ${formatHostPort(options.address)}: bind: ${why}`, { cause: error });
  }
  const closed = once(server, "close");
  const bound = server.address() as AddressInfo;
  const shown = formatHostPort({ host: host === "" ? "127.0.0.1" : host, port: bound.port });
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${shown}`,
    closeGently: async () => {
      closing = true;
      server.close();
      await closed;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      options.webSockets.terminate();
      server.closeAllConnections();
      await closed;
    },
  };
}

function protectedServer(tls: ServerTls): Server {
  const server = createTlsServer({ ...serverOptions, ...tls.options });
  tls.protect(server);
  return server;
}

function onRequest(options: GatewayServerOptions, request: IncomingMessage, response: ServerResponse): void {
  const decision = decide(options.front, request);
  if (decision.t === "answer") {
    response.writeHead(decision.status, [...decision.headers]);
    response.end(decision.body);
    return;
  }
  const { path, search, headers } = decision;
  if (!path.startsWith("/v3/")) {
    for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i] ?? "", headers[i + 1] ?? "");
    options.pages(request, response);
    return;
  }
  // Paths that are no route share one label: a stranger must not be able to make up metrics.
  options.metrics.observe(findRoute(path) === undefined ? "unknown" : path, response);
  serveHttp(options.door, request, response, { path, search, baseHeaders: headers }).catch(
    (error: unknown) => {
      options.door.report(error);
      response.destroy();
    },
  );
}

function onUpgrade(
  options: GatewayServerOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  // Until the WebSocket takes it over, a reset of this socket is nobody's.
  socket.on("error", () => socket.destroy());
  const decision = decide(options.front, request);
  if (decision.t === "pass" && decision.path.startsWith("/v3/")) {
    if (isForeignPage(request, decision.headers)) {
      answerSocket(socket, 403, "This origin may not open WebSockets here, see --cors.\n");
      return;
    }
    options.webSockets.upgrade(request, socket, head, {
      path: decision.path,
      baseHeaders: decision.headers,
    });
    return;
  }
  if (decision.t === "answer") answerSocket(socket, decision.status, decision.body);
  else answerSocket(socket, 404, "404 page not found\n");
}

/**
 * A page of an origin that is not in `--cors`. Browsers let every page open a WebSocket and send the cookie that holds
 * the token along: the answer to a handshake is the only place to stop it.
 */
function isForeignPage(request: IncomingMessage, corsHeaders: readonly string[]): boolean {
  return request.headers.origin !== undefined && !corsHeaders.includes("Access-Control-Allow-Origin");
}

function answerSocket(socket: Duplex, status: number, body: string): void {
  const headers = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${headers.join("\r\n")}\r\n\r\n${body}`);
}
