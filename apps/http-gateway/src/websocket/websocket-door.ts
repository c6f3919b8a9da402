import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "@etcd-edge/runtime";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import type { DoorOptions, RequestTarget } from "../door/http-door.ts";
import { createJsonRequests } from "../door/request-source.ts";
import { findRoute } from "../door/routes.ts";
import { serveCall } from "../door/serve-call.ts";
import { type CallStyle, readCallStyle } from "../http/call-style.ts";
import { ChunkQueue } from "../http/chunk-queue.ts";
import { ClientPresence } from "../http/client-presence.ts";
import { notFound } from "../http/error-body.ts";
import { toFailure } from "../http/failure.ts";
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
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, target: RequestTarget): void;
  /** Open sockets. */
  readonly size: number;
  /** Closes all sockets with 1001 ("going away"); new ones are refused. */
  close(): void;
  /** Cuts all sockets. */
  terminate(): void;
}

export function createWebSocketDoor(door: WebSocketDoorOptions): WebSocketDoor {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: door.maxBodyBytes,
    handleProtocols: answeredProtocol,
  });
  const accept = (request: IncomingMessage, socket: Duplex, head: Buffer, target: RequestTarget): void => {
    let release: () => void;
    try {
      release = door.limits.openStream(request);
    } catch (error) {
      refuseHandshake(socket, tooMany(error), target.baseHeaders);
      return;
    }
    socket.once("close", release);
    server.handleUpgrade(request, socket, head, (webSocket) => {
      keepAlive(webSocket, door);
      serveSocket(door, webSocket, { request, connection: socket, target }).catch(door.report);
    });
  };
  return {
    upgrade(request, socket, head, target) {
      const problem = handshakeProblem(request);
      if (problem !== undefined) return refuseHandshake(socket, problem, target.baseHeaders);
      const admitted = door.limits.admit(request);
      if (admitted === undefined) return accept(request, socket, head, target);
      admitted.then(
        () => accept(request, socket, head, target),
        (error: unknown) => refuseHandshake(socket, tooMany(error), target.baseHeaders),
      );
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
  door: DoorOptions,
  socket: WebSocket,
  handshake: {
    readonly request: IncomingMessage;
    readonly connection: Duplex;
    readonly target: RequestTarget;
  },
): Promise<void> {
  const { request, connection, target } = handshake;
  const presence = new ClientPresence();
  const chunks = new ChunkQueue({ pause: () => socket.pause(), resume: () => socket.resume() });
  socket.on("message", (data: RawData) => chunks.push(toLine(data)));
  socket.on("error", () => socket.terminate());
  socket.on("close", () => {
    chunks.abandon();
    presence.leave();
  });
  const profile = await door.profile();
  const rpc = findRoute(target.path);
  if (rpc === undefined) {
    socket.send(notFound(profile).body.trimEnd());
    socket.close(1000);
    return;
  }
  const reply = new WebSocketReply(socket, connection, profile);
  let style: CallStyle;
  try {
    style = readCallStyle(request.headers, target.search);
  } catch (error) {
    reply.fail(toFailure(error), "unary");
    return;
  }
  const values = new ValueReader(chunks, door.maxBodyBytes, door.jsonLimits);
  await serveCall({
    door,
    rpc,
    profile,
    requests: createJsonRequests(rpc, values, { profile, style }),
    headers: toCallHeaders(toRawHeaders(request), {
      forwardAll: door.forwardAllHeaders,
      peerAddress: undefined,
    }),
    style,
    reply,
    connection: socket,
    presence,
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
  let timer: Timer | undefined;
  const ping = (): void => {
    if (socket.readyState !== socket.OPEN) return;
    if (!answered) {
      socket.terminate();
      return;
    }
    answered = false;
    socket.ping();
    arm();
  };
  // What came while this process was held up is read before it judges: timers come before sockets in a turn.
  const arm = (): void => {
    timer = options.clock.setTimer(options.pingIntervalMs, () => setImmediate(ping));
  };
  arm();
  socket.on("pong", () => {
    answered = true;
  });
  // A paused socket reads no pong; any message proves the same.
  socket.on("message", () => {
    answered = true;
  });
  socket.on("close", () => timer?.stop());
}

interface HandshakeProblem {
  readonly line: string;
  readonly body: string;
  /** Name, value, name, value. */
  readonly headers?: readonly string[];
}

function tooMany(error: unknown): HandshakeProblem {
  const { message, retryAfterSeconds } = toFailure(error);
  const headers = retryAfterSeconds === undefined ? [] : ["Retry-After", String(retryAfterSeconds)];
  return { line: "429 Too Many Requests", body: `${message}\n`, headers };
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
    ...(problem.headers ?? []),
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
