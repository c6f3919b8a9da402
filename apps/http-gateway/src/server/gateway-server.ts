import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ConfigError, formatHostPort, type HostPort, type ServerTls } from "@etcd-edge/runtime";
import { type DoorOptions, serveHttp } from "../door/http-door.ts";
import { findRoute } from "../door/routes.ts";
import { decide, type FrontRules } from "../front/front.ts";
import { startAnswer } from "../http/start-answer.ts";
import { FastLane } from "../lane/fast-lane.ts";
import { createLaneDoor } from "../lane/lane-door.ts";
import type { Pages } from "../pages/pages.ts";
import type { WebSocketDoor } from "../websocket/websocket-door.ts";
import type { DoorMetrics } from "./door-metrics.ts";
import { createListener } from "./listener.ts";
import { StalledSockets } from "./stalled-sockets.ts";

export interface GatewayServerOptions {
  readonly address: HostPort;
  readonly tls: ServerTls | undefined;
  readonly front: FrontRules;
  readonly door: DoorOptions;
  readonly webSockets: WebSocketDoor;
  readonly pages: Pages;
  readonly metrics: DoorMetrics;
  readonly connections: ConnectionLimits;
}

/** Of connections, whatever they carry. Durations in milliseconds. */
interface ConnectionLimits {
  /** 0 for any number. */
  readonly maxConnections: number;
  readonly headerTimeoutMs: number;
  /** A client that takes nothing of an answer for this long is cut. */
  readonly writeTimeoutMs: number;
  /** Whether requests that leave nothing to interpretation are answered in front of node:http. */
  readonly hasFastLane: boolean;
}

/** A listening gateway. Disposing cuts whatever is open; twice is fine. */
export interface GatewayServer extends AsyncDisposable {
  /** With port 0 asked, the port it got. */
  readonly url: string;
  /** Open connections. */
  connections(): number;
  /** Takes no more connections; resolves when the last one is gone. */
  closeGently(): Promise<void>;
}

/** @throws ConfigError where the address cannot be bound */
export async function startGatewayServer(options: GatewayServerOptions): Promise<GatewayServer> {
  const { metrics, connections } = options;
  const sockets = new StalledSockets({
    clock: options.door.clock,
    timeoutMs: connections.writeTimeoutMs,
    onCut: () => metrics.refused("write-timeout"),
  });
  const open = new Set<Socket>();
  metrics.countConnections(() => open.size);
  let closing = false;
  const counts = { answered: 0, handedOver: 0 };
  metrics.countLane(() => counts);
  // A connection that was busy when we began to close is closed by nobody else.
  const onAnswered = (): void => {
    if (closing) setImmediate(() => listener.closeIdle());
  };
  const listener = createListener(
    { tls: options.tls, headerTimeoutMs: connections.headerTimeoutMs },
    {
      createLane: connections.hasFastLane
        ? (times) =>
            new FastLane({
              ...createLaneDoor({
                ...options,
                keepAliveTimeoutMs: times.keepAliveTimeoutMs,
                observe: (route) => {
                  const onEnd = metrics.observe(route);
                  return (status) => {
                    counts.answered++;
                    onEnd(status);
                    onAnswered();
                  };
                },
              }),
              ...times,
              clock: options.door.clock,
              onHandedOver: () => counts.handedOver++,
            })
        : undefined,
      onConnection: (connection) => {
        open.add(connection);
        connection.once("close", () => open.delete(connection));
      },
      onSocket: (socket) => sockets.add(socket),
      onUpgrade: (request, socket, head) => {
        const release = sockets.openStream(request.socket);
        socket.once("close", release);
        onUpgrade(options, request, socket, head);
      },
      onRequest: (request, response) => {
        const onEnd = onRequest(options, sockets, request, response);
        response.on("close", () => {
          onEnd?.(response.headersSent ? response.statusCode : undefined);
          onAnswered();
        });
      },
    },
  );
  const { server } = listener;
  if (connections.maxConnections > 0) server.maxConnections = connections.maxConnections;
  server.on("drop", () => metrics.refused("connections"));
  const { host, port } = options.address;
  server.listen(host === "" ? { port } : { host, port });
  try {
    await once(server, "listening");
  } catch (error) {
    sockets[Symbol.dispose]();
    listener[Symbol.dispose]();
    const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    const why = taken ? "address already in use" : String(error);
    throw new ConfigError(`listen tcp ${formatHostPort(options.address)}: bind: ${why}`, { cause: error });
  }
  const closed = once(server, "close");
  const bound = server.address() as AddressInfo;
  const shown = formatHostPort({ host: host === "" ? "127.0.0.1" : host, port: bound.port });
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${shown}`,
    connections: () => open.size,
    closeGently: async () => {
      closing = true;
      server.close();
      listener.closeIdle();
      await closed;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      options.webSockets.terminate();
      for (const connection of open) connection.destroy();
      await closed;
      sockets[Symbol.dispose]();
      listener[Symbol.dispose]();
    },
  };
}

/** @returns what to call when the response is over, if anything */
function onRequest(
  options: GatewayServerOptions,
  sockets: StalledSockets,
  request: IncomingMessage,
  response: ServerResponse,
): ((status: number | undefined) => void) | undefined {
  const decision = decide(options.front, request);
  if (decision.t === "answer") {
    startAnswer(response, decision.status, decision.headers);
    response.end(decision.body);
    return undefined;
  }
  const { path, search, headers } = decision;
  if (!path.startsWith("/v3/")) {
    for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i] ?? "", headers[i + 1] ?? "");
    options.pages(request, response);
    return undefined;
  }
  const rpc = findRoute(path);
  // Paths that are no route share one label: a stranger must not be able to make up metrics.
  const onEnd = options.metrics.observe(rpc === undefined ? "unknown" : path);
  const release =
    rpc === undefined || rpc.kind === "unary" ? undefined : sockets.openStream(socketOf(request));
  serveHttp(options.door, request, response, { path, search, baseHeaders: headers }).then(
    release,
    (error: unknown) => {
      release?.();
      options.door.report(error);
      response.destroy();
    },
  );
  return onEnd;
}

/** Of HTTP/2 requests `socket` is a stand-in that cannot be told apart from others. */
function socketOf(request: IncomingMessage): Socket {
  const { stream } = request as { stream?: { readonly session?: { readonly socket: Socket } } };
  return stream?.session?.socket ?? request.socket;
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
    const { path, search, headers: baseHeaders } = decision;
    options.webSockets.upgrade(request, socket, head, { path, search, baseHeaders });
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
