import type { IncomingMessage, ServerResponse } from "node:http";
import type { Rpc } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { serveEvents, wantsEvents } from "../events/serve-events.ts";
import { type CallStyle, readCallStyle, wantsProblems } from "../http/call-style.ts";
import { ChunkQueue } from "../http/chunk-queue.ts";
import { connectionOf } from "../http/connection-of.ts";
import { methodNotAllowed, notFound, type RoutingError } from "../http/error-body.ts";
import { toFailure } from "../http/failure.ts";
import { HttpReply } from "../http/http-reply.ts";
import { type CallHeaders, toCallHeaders } from "../http/request-metadata.ts";
import { BodyTooLargeError, ValueReader } from "../http/value-reader.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { PageSizes } from "../range/page-sizes.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { OpenWatch } from "../watch/watch-host.ts";
import { findRoute } from "./routes.ts";
import { serveCall } from "./serve-call.ts";

/** What both forms of the JSON door, HTTP and WebSocket, are made with. */
export interface DoorOptions {
  readonly upstream: Upstream;
  readonly openWatch: OpenWatch;
  readonly clock: Clock;
  readonly pageSizes: PageSizes;
  /** Time between two signs of life on streams of events, in milliseconds, where the client has no wish. */
  readonly heartbeatMs: number;
  /** The profile to speak now. */
  readonly profile: () => Promise<JsonProfile>;
  /** Longest JSON value of a body, in bytes. */
  readonly maxBodyBytes: number;
  /** See HeaderRules. */
  readonly forwardAllHeaders: boolean;
  /** Aborts when streams are to end because the process will. */
  readonly draining: AbortSignal;
  /** Takes errors that clients are told nothing of. */
  readonly report: (error: unknown) => void;
}

/** Answers one HTTP request under `/v3/`. Resolves when the answer was handed to the socket or the client has gone. */
export async function serveHttp(
  options: DoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
  where: { readonly path: string; readonly search: string; readonly baseHeaders: readonly string[] },
): Promise<void> {
  const rpc = findRoute(where.path);
  if (rpc?.path === "/etcdserverpb.Watch/Watch" && wantsEvents(request)) {
    return await serveEvents(options, request, response, where);
  }
  const profile = await options.profile();
  if (rpc === undefined) return answerRouting(response, where.baseHeaders, notFound(profile));
  if (methodOf(request) !== "POST")
    return answerRouting(response, where.baseHeaders, methodNotAllowed(profile));
  const reply = new HttpReply({
    response,
    profile,
    baseHeaders: where.baseHeaders,
    wantsTrailers: /\btrailers\b/i.test(String(request.headers["te"] ?? "")),
    problems: wantsProblems(request.headers),
  });
  let headers: CallHeaders;
  let style: CallStyle;
  try {
    style = readCallStyle(request.headers, where.search);
    headers = toCallHeaders(request.rawHeaders, {
      forwardAll: options.forwardAllHeaders,
      peerAddress: request.socket.remoteAddress,
    });
    refuseLongBody(rpc, request, options.maxBodyBytes);
  } catch (error) {
    return reply.fail(toFailure(error), "unary");
  }
  const gone = new AbortController();
  const chunks = new ChunkQueue(request);
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => chunks.finish());
  request.on("error", () => chunks.abandon());
  response.on("close", () => {
    chunks.abandon();
    if (!response.writableFinished) gone.abort();
  });
  await serveCall({
    rpc,
    profile,
    values: new ValueReader(chunks, options.maxBodyBytes),
    headers,
    style,
    reply,
    upstream: options.upstream,
    openWatch: options.openWatch,
    clock: options.clock,
    pageSizes: options.pageSizes,
    connection: connectionOf(request),
    signal: gone.signal,
    draining: options.draining,
    report: options.report,
  });
  // What stands behind the value that was answered is of no use to anybody.
  if (!request.readableEnded) request.resume();
}

/** A form may name another method, as grpc-gateway lets it; all it can come to is a refusal. */
function methodOf(request: IncomingMessage): string {
  const override = request.headers["x-http-method-override"];
  const isForm = request.headers["content-type"] === "application/x-www-form-urlencoded";
  if (request.method === "POST" && isForm && typeof override === "string" && override !== "") {
    return override.toUpperCase();
  }
  return request.method ?? "";
}

/** A body that says it is too long is refused before a byte of it is read. A stream's body has no length of its own. */
function refuseLongBody(rpc: Rpc, request: IncomingMessage, maxBodyBytes: number): void {
  const length = Number(request.headers["content-length"] ?? 0);
  if (rpc.kind !== "bidi" && length > maxBodyBytes) throw new BodyTooLargeError(maxBodyBytes);
}

function answerRouting(response: ServerResponse, baseHeaders: readonly string[], error: RoutingError): void {
  const nosniff = error.contentType.startsWith("text/") ? ["X-Content-Type-Options", "nosniff"] : [];
  response.writeHead(error.status, [
    ...baseHeaders,
    "Content-Type",
    error.contentType,
    ...nosniff,
    "Content-Length",
    String(Buffer.byteLength(error.body)),
  ]);
  response.end(error.body);
}
