import type { IncomingMessage, ServerResponse } from "node:http";
import type { DoorOptions } from "../door/http-door.ts";
import { readCallStyle } from "../http/call-style.ts";
import { connectionOf } from "../http/connection-of.ts";
import { toCallHeaders } from "../http/request-metadata.ts";
import type { Metadata } from "../upstream/upstream.ts";
import { toWatchClient, watchCountOf } from "../watch/watch-client.ts";
import { cookieToken } from "../websocket/credentials.ts";
import { readEventQuery } from "./event-query.ts";
import { EventStream } from "./event-stream.ts";

/** Whether a request is one of an `EventSource`. */
export function wantsEvents({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && /(?:^|[,\s])text\/event-stream/i.test(headers.accept ?? "");
}

/**
 * Answers `GET /v3/watch` with `Accept: text/event-stream` (WHATWG HTML, "Server-sent events"):
 * - messages: the WatchResponse with its events, as in the JSON door, and the position behind it as `id`;
 * - `event: bookmark`: how far the stream is, at its beginning and with each heartbeat that finds all ranges up to date; a
 *   heartbeat is a comment in any case;
 * - `event: canceled`: a range's last word, its WatchResponse, with `compact_revision` where that is why.
 *
 * Resolves when it is over; closing the connection cancels the watches.
 * @throws UpstreamError where nothing has been sent
 */
export async function serveEvents(
  door: Pick<DoorOptions, "clock" | "heartbeatMs" | "openWatch" | "forwardAllHeaders">,
  call: {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    readonly search: string;
    readonly baseHeaders: readonly string[];
  },
): Promise<void> {
  const { request, response, search, baseHeaders } = call;
  request.resume();
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const style = readCallStyle(request.headers, search);
  const metadata = metadataOf(request, door.forwardAllHeaders);
  const lastEventId = request.headers["last-event-id"];
  const query = readEventQuery(search, typeof lastEventId === "string" ? lastEventId : undefined);
  const stream = new EventStream({
    query,
    response,
    baseHeaders,
    clock: door.clock,
    heartbeatMs: style.heartbeatMs ?? door.heartbeatMs,
    bytes: style.bytes,
  });
  const client = toWatchClient(metadata, watchCountOf(connectionOf(request)));
  await stream.run(door.openWatch(stream, client), gone.signal);
}

/** A browser cannot set headers on an EventSource: without a credential in one, the cookie counts, as for WebSockets. */
function metadataOf(request: IncomingMessage, forwardAll: boolean): Metadata {
  const rules = { forwardAll, peerAddress: request.socket.remoteAddress };
  const { metadata } = toCallHeaders(request.rawHeaders, rules);
  const hasToken = metadata.some((name, i) => i % 2 === 0 && (name === "token" || name === "authorization"));
  const cookie = hasToken ? undefined : cookieToken(request.headers.cookie);
  return cookie === undefined ? metadata : [...metadata, "token", cookie];
}
