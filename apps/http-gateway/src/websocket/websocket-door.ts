import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "@etcd-edge/runtime";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import type { DoorOptions } from "../door/http-door.ts";
import { findRoute } from "../door/routes.ts";
import { serveCall } from "../door/serve-call.ts";
import { plainStyle } from "../http/call-style.ts";
import { ChunkQueue } from "../http/chunk-queue.ts";
import { notFound } from "../http/error-body.ts";
import { toCallHeaders } from "../http/request-metadata.ts";
import { ValueReader } from "../http/value-reader.ts";
import { answeredProtocol, credentialOf } from "./credentials.ts";
import { WebSocketReply } from "./websocket-reply.ts";

export interface WebSocketDoorOptions extends DoorOptions {
  /** Time between pings; a peer that did not answer the last one is cut. */
  readonly pingIntervalMs: number;
}

/** The JSON door over WebSocket. Whoever made it calls `close` once. */
export interface WebSocketDoor {
  /** Takes over the socket of an upgrade request under `/v3/`. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    where: { readonly path: string; readonly baseHeaders: readonly string[] },
  ): void;
  /** Open sockets. */
  readonly size: number;
  /** Closes all sockets with 1001 ("going away"); new ones are refused. */
  close(): void;
  /** Cuts all sockets. */
  terminate(): void;
}

export function createWebSocketDoor(options: WebSocketDoorOptions): WebSocketDoor {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: options.maxBodyBytes,
    handleProtocols: answeredProtocol,
  });
  return {
    upgrade(request, socket, head, where) {
      const problem = handshakeProblem(request);
      if (problem !== undefined) return refuseHandshake(socket, problem, where.baseHeaders);
      server.handleUpgrade(request, socket, head, (webSocket) => {
        keepAlive(webSocket, options);
        serveSocket(options, webSocket, request, where.path).catch(options.report);
      });
    },
    get size() {
      return server.clients.size;
    },
    close() {
      for (const client of server.clients) client.close(1001);
      server.close();
    },
    terminate() {
      for (const client of server.clients) client.terminate();
    },
  };
}

async function serveSocket(
  options: WebSocketDoorOptions,
  socket: WebSocket,
  request: IncomingMessage,
  path: string,
): Promise<void> {
  const gone = new AbortController();
  const chunks = new ChunkQueue({ pause: () => socket.pause(), resume: () => socket.resume() });
  socket.on("message", (data: RawData) => chunks.push(toLine(data)));
  socket.on("error", () => socket.terminate());
  socket.on("close", () => {
    chunks.abandon();
    gone.abort();
  });
  const profile = await options.profile();
  const rpc = findRoute(path);
  if (rpc === undefined) {
    socket.send(notFound(profile).body.trimEnd());
    socket.close(1000);
    return;
  }
  await serveCall({
    rpc,
    profile,
    values: new ValueReader(chunks, options.maxBodyBytes),
    headers: toCallHeaders(toRawHeaders(request), {
      forwardAll: options.forwardAllHeaders,
      peerAddress: undefined,
    }),
    style: plainStyle,
    reply: new WebSocketReply(socket, profile),
    upstream: options.upstream,
    openWatch: options.openWatch,
    clock: options.clock,
    pageSizes: options.pageSizes,
    connection: socket,
    signal: gone.signal,
    draining: options.draining,
    report: options.report,
  });
  // Whatever the client still sends belongs to a call that is over; reading on lets its close frame arrive.
  socket.resume();
}

/** Of the handshake only the credential, and what a page cannot forge, goes on. */
function toRawHeaders(request: IncomingMessage): string[] {
  const { headers } = request;
  const token = credentialOf({
    protocol: headers["sec-websocket-protocol"],
    cookie: headers.cookie,
    authorization: headers.authorization,
  });
  const raw = token === undefined ? [] : ["authorization", token];
  if (headers.origin !== undefined) raw.push("origin", headers.origin);
  if (headers.referer !== undefined) raw.push("referer", headers.referer);
  return raw;
}

/** A message is a line: values of two messages never run together. */
function toLine(data: RawData): Buffer {
  const parts = Array.isArray(data) ? data : [Buffer.isBuffer(data) ? data : Buffer.from(data)];
  return Buffer.concat([...parts, newline]);
}

const newline = Buffer.from("\n");

function keepAlive(socket: WebSocket, options: { clock: Clock; pingIntervalMs: number }): void {
  let answered = true;
  let timer: Timer;
  const ping = (): void => {
    if (!answered) {
      socket.terminate();
      return;
    }
    answered = false;
    socket.ping();
    timer = options.clock.setTimer(options.pingIntervalMs, ping);
  };
  timer = options.clock.setTimer(options.pingIntervalMs, ping);
  socket.on("pong", () => {
    answered = true;
  });
  // A paused socket reads no pong; any message proves the same.
  socket.on("message", () => {
    answered = true;
  });
  socket.on("close", () => timer.stop());
}

interface HandshakeProblem {
  readonly line: string;
  readonly body: string;
}

function handshakeProblem(request: IncomingMessage): HandshakeProblem | undefined {
  if (request.method !== "GET") return { line: "405 Method Not Allowed", body: "Method Not Allowed\n" };
  const { headers } = request;
  const key = headers["sec-websocket-key"] ?? "";
  const isWebSocket = headers.upgrade?.toLowerCase() === "websocket";
  if (!isWebSocket || headers["sec-websocket-version"] !== "13" || !/^[+/0-9A-Za-z]{22}==$/.test(key)) {
    return { line: "400 Bad Request", body: "Bad Request\n" };
  }
  return undefined;
}

function refuseHandshake(socket: Duplex, problem: HandshakeProblem, baseHeaders: readonly string[]): void {
  const headers = [
    ...baseHeaders,
    "Content-Type",
    "text/plain; charset=utf-8",
    "Sec-Websocket-Version",
    "13",
    "X-Content-Type-Options",
    "nosniff",
    "Content-Length",
    String(Buffer.byteLength(problem.body)),
    "Connection",
    "close",
  ];
  let text = `HTTP/1.1 ${problem.line}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(`${text}\r\n${problem.body}`);
}
