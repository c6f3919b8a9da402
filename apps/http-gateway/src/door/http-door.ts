import type { IncomingMessage, ServerResponse } from "node:http";
import { create, type Message, type Rpc, WatchRequestSchema } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { readEventQuery } from "../events/event-query.ts";
import { serveEvents, wantsEvents } from "../events/serve-events.ts";
import { BodyTooLargeError } from "../http/body-values.ts";
import { type CallStyle, readCallStyle } from "../http/call-style.ts";
import { ChunkQueue } from "../http/chunk-queue.ts";
import { ClientPresence } from "../http/client-presence.ts";
import { connectionOf } from "../http/connection-of.ts";
import { methodNotAllowed, notFound, type RoutingError } from "../http/error-body.ts";
import { isUnforeseen, toFailure } from "../http/failure.ts";
import { readFirstValue } from "../http/first-value.ts";
import { HttpReply } from "../http/http-reply.ts";
import { toCallHeaders } from "../http/request-metadata.ts";
import { startAnswer } from "../http/start-answer.ts";
import { ValueReader } from "../http/value-reader.ts";
import type { JsonLimits } from "../json/json-scanner.ts";
import type { ClientLimits } from "../limits/client-limits.ts";
import type { JsonProfile } from "../profile/json-profile.ts";
import type { PageSizes } from "../range/page-sizes.ts";
import type { RangeStreams } from "../range/range-streams.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { OpenWatch } from "../watch/watch-host.ts";
import { hasGetForm, readQueryRequest } from "./get-forms.ts";
import type { RequestMemo } from "./request-memo.ts";
import {
  createJsonRequests,
  createQueryRequests,
  createSingleRequest,
  type RequestSource,
} from "./request-source.ts";
import { findRoute } from "./routes.ts";
import { isWatch, serveCall } from "./serve-call.ts";
import { withTimeLimit } from "./time-limit.ts";

/** What all forms of the JSON door, HTTP, events and WebSocket, are made with. */
export interface DoorOptions {
  readonly upstream: Upstream;
  readonly openWatch: OpenWatch;
  readonly clock: Clock;
  readonly pageSizes: PageSizes;
  readonly rangeStreams: RangeStreams;
  readonly requestMemo: RequestMemo;
  readonly limits: ClientLimits;
  readonly jsonLimits: JsonLimits;
  /** Time between two signs of life on streams that have no form in etcd, in milliseconds, where the client has no wish. */
  readonly heartbeatMs: number;
  /** The profile to speak now. */
  readonly profile: () => JsonProfile | Promise<JsonProfile>;
  /** Longest JSON value of a body, in bytes. */
  readonly maxBodyBytes: number;
  /** How long the first value of a body may take to come, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** How long a client may take nothing of an answer, in milliseconds. */
  readonly writeTimeoutMs: number;
  /** See HeaderRules. */
  readonly forwardAllHeaders: boolean;
  /** Aborts when streams are to end because the process will. */
  readonly draining: AbortSignal;
  /** Takes errors that clients are told nothing of. */
  readonly report: (error: unknown) => void;
}

/** Where a request goes, from the checks before any routing. */
export interface RequestTarget {
  readonly path: string;
  /** From the question mark on, or nothing. */
  readonly search: string;
  readonly baseHeaders: readonly string[];
}

/** Answers one HTTP request under `/v3/`. Resolves when the answer was handed to the socket or the client has gone. */
export async function serveHttp(
  door: DoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
  target: RequestTarget,
): Promise<void> {
  const rpc = findRoute(target.path);
  const known = door.profile();
  const profile = known instanceof Promise ? await known : known;
  const method = methodOf(request);
  const isEvents = rpc !== undefined && isWatch(rpc) && wantsEvents(request);
  const form = rpc === undefined ? undefined : formOf(rpc, method, target.search);
  if (rpc === undefined || (form === undefined && !isEvents)) {
    const error = rpc === undefined ? notFound(profile) : methodNotAllowed(profile);
    return answerRouting(response, target.baseHeaders, error);
  }
  // Streams say by themselves what caches may do.
  const isRead = form === "query" && rpc.kind === "unary";
  const baseHeaders = isRead ? [...target.baseHeaders, ...uncached] : target.baseHeaders;
  const reply = new HttpReply({
    request,
    response,
    profile,
    baseHeaders,
    writeTimeoutMs: door.writeTimeoutMs,
  });
  let release: (() => void) | undefined;
  try {
    const admission = door.limits.admit(request);
    if (admission !== undefined) await admission;
    if (rpc.kind !== "unary") release = door.limits.openStream(request);
    if (isEvents) await serveEvents(door, { request, response, search: target.search, baseHeaders });
    else await serveDoorCall({ door, request, response, rpc, profile, reply, search: target.search, form });
  } catch (error) {
    if (isUnforeseen(error)) door.report(error);
    if (!response.destroyed) reply.fail(toFailure(error), "unary");
  } finally {
    release?.();
  }
  // What stands behind the value that was answered is of no use to anybody.
  if (!request.readableEnded) request.resume();
}

/** A read by GET is as fresh as one by POST: no cache is to keep it. */
const uncached = ["Cache-Control", "no-store"];

/** `json`: as etcd has it. `query`: by GET, with what is asked in the query. */
type CallForm = "json" | "query";

function formOf(rpc: Rpc, method: string, search: string): CallForm | undefined {
  if (method === "POST") return "json";
  if (method !== "GET") return undefined;
  return (isWatch(rpc) && search.length > 1) || hasGetForm(rpc, search) ? "query" : undefined;
}

async function serveDoorCall(call: {
  readonly door: DoorOptions;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly rpc: Rpc;
  readonly profile: JsonProfile;
  readonly reply: HttpReply;
  readonly search: string;
  readonly form: CallForm | undefined;
}): Promise<void> {
  const { door, request, response, rpc, profile, search } = call;
  const style = readCallStyle(request.headers, search);
  const headers = toCallHeaders(request.rawHeaders, {
    forwardAll: door.forwardAllHeaders,
    peerAddress: request.socket.remoteAddress,
  });
  const isQuery = call.form === "query";
  if (!isQuery) refuseLongBody(rpc, request, door.maxBodyBytes);
  const presence = new ClientPresence();
  // Of HTTP/2 a response cannot be asked whether it was finished: nobody listens any more where it was.
  response.on("close", () => presence.leave());
  const requests = isQuery
    ? createQueryRequests(rpc, profile, readQuery(rpc, search))
    : readRequests(call, presence, style);
  await serveCall({
    door,
    rpc,
    profile,
    requests,
    headers,
    // What has no form in etcd need not be silent as long as etcd is.
    style: isQuery ? { ...style, heartbeatMs: style.heartbeatMs ?? door.heartbeatMs } : style,
    reply: call.reply,
    connection: connectionOf(request),
    presence,
  });
}

/** The requests in a body. One that may hold several is read as the call goes on, and no faster. */
function readRequests(
  {
    door,
    request,
    rpc,
    profile,
  }: { door: DoorOptions; request: IncomingMessage; rpc: Rpc; profile: JsonProfile },
  presence: ClientPresence,
  style: CallStyle,
): RequestSource {
  const { clock, bodyTimeoutMs: timeoutMs, maxBodyBytes, jsonLimits } = door;
  if (rpc.kind !== "bidi") {
    const limit = { presence, clock, timeoutMs, maxValueBytes: maxBodyBytes, limits: jsonLimits };
    return createSingleRequest(
      () => readFirstValue(request, limit),
      { rpc, profile, style },
      door.requestMemo,
    );
  }
  const chunks = new ChunkQueue(request);
  presence.onGone(() => chunks.abandon());
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => chunks.finish());
  request.on("error", () => chunks.abandon());
  const values = new ValueReader(chunks, maxBodyBytes, jsonLimits);
  return withTimeLimit(createJsonRequests(rpc, values, { profile, style }), {
    clock,
    timeoutMs,
    giveUp: (error) => chunks.fail(error),
  });
}

function readQuery(rpc: Rpc, search: string): readonly Message[] {
  if (!isWatch(rpc)) return [readQueryRequest(rpc, search)];
  return readEventQuery(search, undefined).watches.map((value) =>
    create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } }),
  );
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
  startAnswer(response, error.status, [
    ...baseHeaders,
    "Content-Type",
    error.contentType,
    ...nosniff,
    "Content-Length",
    String(Buffer.byteLength(error.body)),
  ]);
  response.end(error.body);
}
