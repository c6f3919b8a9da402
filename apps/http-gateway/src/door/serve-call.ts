import {
  create,
  fromBinary,
  GrpcStatus,
  isMessage,
  type Message,
  RangeRequestSchema,
  type Rpc,
  toBinary,
  WatchRequestSchema,
} from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import type { CallStyle } from "../http/call-style.ts";
import { type Failure, isUnforeseen, toFailure } from "../http/failure.ts";
import type { CallHeaders } from "../http/request-metadata.ts";
import type { ValueReader } from "../http/value-reader.ts";
import { encodeJson } from "../json/encode.ts";
import { JsonInputError } from "../json/json-input-error.ts";
import type { JsonDocument } from "../json/json-node.ts";
import { decodeInput, frameStyles, type JsonProfile, unaryStyle } from "../profile/json-profile.ts";
import type { PageSizes } from "../range/page-sizes.ts";
import { RangePages } from "../range/range-pages.ts";
import { serveRange } from "../range/serve-range.ts";
import {
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamStream,
} from "../upstream/upstream.ts";
import { serveWatch } from "../watch/serve-watch.ts";
import type { OpenWatch } from "../watch/watch-host.ts";
import { refuse } from "./refusals.ts";
import type { Reply } from "./reply.ts";

/** One call of the JSON door, over whatever it came. */
export interface DoorCall {
  readonly rpc: Rpc;
  readonly profile: JsonProfile;
  readonly values: ValueReader;
  readonly headers: CallHeaders;
  readonly style: CallStyle;
  readonly reply: Reply;
  readonly upstream: Upstream;
  readonly openWatch: OpenWatch;
  readonly clock: Clock;
  readonly pageSizes: PageSizes;
  /** Lives as long as the client's connection. */
  readonly connection: object;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** Aborts when streams are to end with UNAVAILABLE: this process will. */
  readonly draining: AbortSignal;
  /** Takes errors that the client is told nothing of. */
  readonly report: (error: unknown) => void;
}

/** Runs a call to its end and answers it, unless its client has gone. Never throws. */
export async function serveCall(call: DoorCall): Promise<void> {
  try {
    await serve(call);
  } catch (error) {
    fail(call, error, "unary");
  }
}

async function serve(call: DoorCall): Promise<void> {
  const { timeoutMs } = call.headers;
  // A deadline under a millisecond is over before a byte could leave.
  if (timeoutMs !== undefined && timeoutMs < 1) throw new UpstreamError(deadlineExceeded);
  switch (call.rpc.kind) {
    case "unary":
      return await serveUnary(call);
    case "serverStream":
      return await serveServerStream(call);
    case "bidi":
      return await serveBidi(call);
    default:
      return call.rpc.kind satisfies never;
  }
}

const deadlineExceeded: Failure = {
  status: GrpcStatus.DEADLINE_EXCEEDED,
  message: "context deadline exceeded",
  origin: "local",
};

async function serveUnary(call: DoorCall): Promise<void> {
  const { bytes, message } = toRequest(call, await call.values.next());
  const pages = isMessage(message, RangeRequestSchema) ? RangePages.of(message, call.pageSizes) : undefined;
  if (pages !== undefined) {
    const style = unaryStyle(call.profile, call.style.bytes);
    const { upstream, reply } = call;
    return await serveRange({ upstream, reply, style, upstreamCall: toUpstreamCalls(call) }, pages);
  }
  const answer = await call.upstream.unary(toUpstreamCall(call), bytes);
  const { output } = call.rpc;
  const text = encodeJson(
    output,
    fromBinary(output, answer.message),
    unaryStyle(call.profile, call.style.bytes),
  );
  call.reply.unary(text, answer.headers);
}

async function serveServerStream(call: DoorCall): Promise<void> {
  const { bytes } = toRequest(call, await call.values.next());
  await runStream(call, async (stream) => {
    await stream.send(bytes);
    stream.halfClose();
  });
}

/**
 * Watch and lease keep-alive. Each JSON value of the body becomes a message, in its own time; answers are sent while
 * the body is still open.
 *
 * The end of a watch's body ends nothing. A watch body that ends without a create request is refused, where etcd leaves
 * the client waiting without a status line.
 */
async function serveBidi(call: DoorCall): Promise<void> {
  let first: Request | undefined;
  try {
    const document = await call.values.next();
    if (document !== undefined) first = toRequest(call, document);
    else if (isWatch(call.rpc)) throw noCreateRequest();
  } catch (error) {
    if (call.profile.generation === "v2" || !(error instanceof JsonInputError))
      return fail(call, error, "stream");
    // The first generation answers a bad first value as UNKNOWN, in the shape of a unary call.
    const failure = { ...toFailure(error), status: GrpcStatus.UNKNOWN };
    return fail(call, new UpstreamError(failure), "unary");
  }
  const opening = first;
  if (!isWatch(call.rpc)) return await runStream(call, (stream) => pumpInput(call, stream, opening));
  try {
    await serveWatch(call, (send) => pumpWatch(call, send, opening));
  } catch (error) {
    fail(call, error, "stream");
  }
}

/** Hands on the first value and whatever follows. Settles at the end of the body. */
async function pumpWatch(
  call: DoorCall,
  send: (request: Uint8Array) => void,
  first: Request | undefined,
): Promise<void> {
  let created = false;
  let request = first;
  while (request !== undefined) {
    created ||= createsWatch(request.message);
    send(request.bytes);
    const document = await call.values.next();
    request = document === undefined ? undefined : toRequest(call, document);
  }
  if (!created) throw noCreateRequest();
}

/**
 * Opens the call upstream, relays its messages to the client, and ends it on every way out. What ends it from here (bad
 * input, the drain) is what the client is told.
 */
async function runStream(call: DoorCall, feed: (stream: UpstreamStream) => Promise<void>): Promise<void> {
  const stream = await call.upstream.open(toUpstreamCall(call));
  let ending: { readonly cause: unknown } | undefined;
  const endWith = (cause: unknown): void => {
    ending ??= { cause };
    stream.cancel();
  };
  const onDrain = (): void => endWith(goingAway());
  call.draining.addEventListener("abort", onDrain, { once: true });
  if (call.draining.aborted) onDrain();
  feed(stream).catch(endWith);
  try {
    await relayFrames(call, stream);
  } catch (error) {
    fail(call, ending === undefined ? error : ending.cause, "stream");
  } finally {
    call.draining.removeEventListener("abort", onDrain);
    stream.cancel();
  }
}

/** Sends the first value and whatever follows, and the end of the body behind it. */
async function pumpInput(call: DoorCall, stream: UpstreamStream, first: Request | undefined): Promise<void> {
  let request = first;
  while (request !== undefined) {
    await stream.send(request.bytes);
    const document = await call.values.next();
    request = document === undefined ? undefined : toRequest(call, document);
  }
  stream.halfClose();
}

async function relayFrames(call: DoorCall, stream: UpstreamStream): Promise<void> {
  const { output } = call.rpc;
  for (;;) {
    const message = await stream.receive();
    if (message === undefined) return call.reply.end();
    const style = frameStyles[call.style.bytes];
    const text = `{"result":${encodeJson(output, fromBinary(output, message), style)}}`;
    await call.reply.frame(text, stream.headers);
  }
}

interface Request {
  readonly message: Message;
  readonly bytes: Uint8Array;
}

function toRequest(call: DoorCall, document: JsonDocument | undefined): Request {
  const { input } = call.rpc;
  const { profile, style } = call;
  const message = document === undefined ? create(input) : decodeInput(profile, input, document, style.bytes);
  const refusal = refuse(call.profile, message);
  if (refusal !== undefined) throw new UpstreamError(refusal);
  return { message, bytes: toBinary(input, message) };
}

function toUpstreamCall(call: DoorCall): UpstreamCall {
  const { metadata, timeoutMs } = call.headers;
  return { rpc: call.rpc, metadata, timeoutMs, signal: call.signal };
}

/** Calls one after the other that have the time of one. */
function toUpstreamCalls(call: DoorCall): () => UpstreamCall {
  const { timeoutMs } = call.headers;
  if (timeoutMs === undefined) return () => toUpstreamCall(call);
  const until = call.clock.nowMs() + timeoutMs;
  return () => ({ ...toUpstreamCall(call), timeoutMs: Math.max(1, until - call.clock.nowMs()) });
}

function fail(call: DoorCall, error: unknown, shape: "unary" | "stream"): void {
  if (call.signal.aborted) return;
  if (isUnforeseen(error)) call.report(error);
  call.reply.fail(toFailure(error), shape);
}

function isWatch(rpc: Rpc): boolean {
  return rpc.path === "/etcdserverpb.Watch/Watch";
}

function createsWatch(message: Message): boolean {
  return isMessage(message, WatchRequestSchema) && message.requestUnion.case === "createRequest";
}

function goingAway(): UpstreamError {
  const message = "gateway is shutting down";
  return new UpstreamError({ status: GrpcStatus.UNAVAILABLE, message, origin: "local" });
}

function noCreateRequest(): UpstreamError {
  return new UpstreamError({
    status: GrpcStatus.INVALID_ARGUMENT,
    message: "the body ended without a create_request",
    origin: "local",
  });
}
