import type { IncomingMessage, ServerResponse } from "node:http";
import { endpointUrl } from "@etcd-edge/endpoints";
import { type HttpHandler, parseGoDuration, sendText } from "@etcd-edge/runtime";
import type { Directory, DirectoryView } from "./directory/directory.ts";

/** The directory of `members`, or of a tier; nothing for a name that is none. */
export type FindDirectory = (name: string) => Directory | undefined;

/** Longest `?wait=`: below the idle limits of the usual proxies. */
const maxWaitMs = 55_000;
/** A comment line this often keeps an event stream alive through proxies. */
const heartbeatMs = 15_000;

/**
 * `GET /v1/endpoints`: the endpoint set as JSON with an ETag.
 * - `If-None-Match` with the current ETag: 304, or with `?wait=30s` the answer comes when something changes (304 if
 *   nothing did in that time).
 * - `?tier=grpc-proxy`: the replicas of a tier instead of the members of etcd.
 * - `Accept: text/event-stream`: every version as an event, the current one first.
 */
export function createEndpointsHandler(find: FindDirectory): HttpHandler {
  return async (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      sendText(response, 405, "method not allowed\n");
      return;
    }
    const name = queryOf(request).get("tier") ?? "members";
    const directory = find(name);
    if (directory === undefined) {
      sendText(response, 404, `there is no tier ${JSON.stringify(name)}\n`);
      return;
    }
    if (request.headers.accept?.includes("text/event-stream") === true) {
      streamEvents(directory, response);
      return;
    }
    const waitMs = readWait(request);
    if (waitMs === undefined) {
      sendText(response, 400, "wait must be a duration such as 30s\n");
      return;
    }
    const known = request.headers["if-none-match"];
    if (known === etagOf(directory.current())) await untilChanged(directory, response, waitMs);
    sendView(directory.current(), known, response);
  };
}

function sendView(view: DirectoryView, known: string | undefined, response: ServerResponse): void {
  response.setHeader("etag", etagOf(view));
  response.setHeader("cache-control", "no-cache");
  if (known === etagOf(view)) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { "content-type": "application/json" }).end(`${JSON.stringify(toJson(view))}\n`);
}

/** The shape of the answer; fields are added, never changed. */
function toJson({ cluster, version, digest, entries, peers }: DirectoryView): unknown {
  return {
    cluster,
    version,
    digest,
    endpoints: entries.map(({ endpoint, health, isAlive }) => ({
      url: endpointUrl(endpoint),
      scheme: endpoint.scheme,
      host: endpoint.host,
      port: endpoint.port,
      priority: endpoint.priority,
      weight: endpoint.weight,
      ...(endpoint.name === undefined ? {} : { name: endpoint.name }),
      alive: isAlive,
      health,
    })),
    peers: peers.map((peer) => ({
      url: endpointUrl(peer),
      ...(peer.name === undefined ? {} : { name: peer.name }),
    })),
  };
}

function etagOf({ digest }: DirectoryView): string {
  return `"${digest}"`;
}

function queryOf(request: IncomingMessage): URLSearchParams {
  return new URL(request.url ?? "/", "http://localhost").searchParams;
}

/** 0 without `?wait=`, undefined for what is no duration. */
function readWait(request: IncomingMessage): number | undefined {
  const text = queryOf(request).get("wait");
  if (text === null) return 0;
  try {
    return Math.max(0, Math.min(maxWaitMs, parseGoDuration(text)));
  } catch {
    return undefined; // the answer says what is wrong
  }
}

/** Until the directory changes, the time is over, or the client has gone. */
function untilChanged(directory: Directory, response: ServerResponse, waitMs: number): Promise<void> {
  if (waitMs === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      unsubscribe();
      response.off("close", finish);
      resolve();
    };
    const timer = setTimeout(finish, waitMs);
    const unsubscribe = directory.subscribe(finish);
    response.once("close", finish);
  });
}

function streamEvents(directory: Directory, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const send = (view: DirectoryView): void => {
    // Each event is the whole set: a reader too slow for one gets the next, so nothing is queued for it.
    if (response.writableNeedDrain) return;
    response.write(`event: endpoints\nid: ${view.digest}\ndata: ${JSON.stringify(toJson(view))}\n\n`);
  };
  const catchUp = (): void => send(directory.current());
  const heartbeat = setInterval(() => response.write(":\n\n"), heartbeatMs);
  const unsubscribe = directory.subscribe(send);
  response.on("drain", catchUp);
  response.once("close", () => {
    clearInterval(heartbeat);
    unsubscribe();
    response.off("drain", catchUp);
  });
  send(directory.current());
}
