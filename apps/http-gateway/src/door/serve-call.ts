import { GrpcStatus, isMessage, type Message, type Rpc, WatchRequestSchema } from "@etcd-edge/proto";
import type { CallStyle } from "../http/call-style.ts";
import type { ClientPresence } from "../http/client-presence.ts";
import { type Failure, isUnforeseen, toFailure } from "../http/failure.ts";
import { goingAway } from "../http/going-away.ts";
import type { CallHeaders } from "../http/request-metadata.ts";
import { JsonInputError } from "../json/json-input-error.ts";
import { transcode } from "../json/transcode.ts";
import { frameStyles, type JsonProfile, unaryStyle } from "../profile/json-profile.ts";
import { RangePages } from "../range/range-pages.ts";
import { serveRange } from "../range/serve-range.ts";
import { type UpstreamCall, UpstreamError, type UpstreamStream } from "../upstream/upstream.ts";
import { serveWatch } from "../watch/serve-watch.ts";
import { answerText } from "./answer-text.ts";
import type { DoorOptions } from "./http-door.ts";
import type { Reply } from "./reply.ts";
import { emptyRequest, type Request, type RequestSource } from "./request-source.ts";

/** One call of the JSON door, over whatever it came. */
export interface DoorCall {
  /** What all calls have in common. */
  readonly door: Pick<
    DoorOptions,
    "upstream" | "openWatch" | "clock" | "pageSizes" | "rangeStreams" | "draining" | "report"
  >;
  readonly rpc: Rpc;
  readonly profile: JsonProfile;
  readonly requests: RequestSource;
  readonly headers: CallHeaders;
  readonly style: CallStyle;
  readonly reply: Reply;
  /** Lives as long as the client's connection. */
  readonly connection: object;
  readonly presence: ClientPresence;
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
  const { bytes, message } = (await call.requests.next()) ?? emptyRequest(call.rpc);
  const pages = RangePages.of(message, call.door.pageSizes);
  if (pages !== undefined) {
    const style = unaryStyle(call.profile, call.style.bytes);
    const { reply, door } = call;
    return await serveRange(
      {
        upstream: door.upstream,
        streams: door.rangeStreams,
        ...{ reply, style, upstreamCall: toUpstreamCalls(call) },
      },
      pages,
    );
  }
  const answer = await call.door.upstream.unary(toUpstreamCall(call), bytes);
  const text = answerText(call.rpc, answer.message, unaryStyle(call.profile, call.style.bytes));
  call.reply.unary(text, answer.headers);
}

async function serveServerStream(call: DoorCall): Promise<void> {
  const { bytes } = (await call.requests.next()) ?? emptyRequest(call.rpc);
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
    first = await call.requests.next();
    if (first === undefined && isWatch(call.rpc)) throw noCreateRequest();
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
    const { openWatch, clock, draining } = call.door;
    // On a connection that is still there: whoever opens streams now would have to come again at once.
    if (draining.aborted) throw goingAway();
    await serveWatch({ ...call, openWatch, clock }, (send) => pumpWatch(call, send, opening));
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
    request = await call.requests.next();
  }
  if (!created) throw noCreateRequest();
}

/**
 * Opens the call upstream, relays its messages to the client, and ends it on every way out. What ends it from here (bad
 * input, the drain) is what the client is told.
 */
async function runStream(call: DoorCall, feed: (stream: UpstreamStream) => Promise<void>): Promise<void> {
  const stream = await call.door.upstream.open(toUpstreamCall(call));
  let ending: { readonly cause: unknown } | undefined;
  const endWith = (cause: unknown): void => {
    ending ??= { cause };
    stream.cancel();
  };
  const onDrain = (): void => endWith(goingAway());
  call.door.draining.addEventListener("abort", onDrain, { once: true });
  if (call.door.draining.aborted) onDrain();
  feed(stream).catch(endWith);
  try {
    await relayFrames(call, stream);
  } catch (error) {
    fail(call, ending === undefined ? error : ending.cause, "stream");
  } finally {
    call.door.draining.removeEventListener("abort", onDrain);
    stream.cancel();
  }
}

/** Sends the first value and whatever follows, and the end of the body behind it. */
async function pumpInput(call: DoorCall, stream: UpstreamStream, first: Request | undefined): Promise<void> {
  let request = first;
  while (request !== undefined) {
    await stream.send(request.bytes);
    request = await call.requests.next();
  }
  stream.halfClose();
}

async function relayFrames(call: DoorCall, stream: UpstreamStream): Promise<void> {
  const { output } = call.rpc;
  for (;;) {
    const message = await stream.receive();
    if (message === undefined) return call.reply.end();
    const style = frameStyles[call.style.bytes];
    const text = `{"result":${transcode(output, message, style)}}`;
    await call.reply.frame(text, stream.headers);
  }
}

function toUpstreamCall(call: DoorCall): UpstreamCall {
  const { metadata, timeoutMs } = call.headers;
  return { rpc: call.rpc, metadata, timeoutMs, presence: call.presence };
}

/** Calls one after the other that have the time of one. */
function toUpstreamCalls(call: DoorCall): () => UpstreamCall {
  const { timeoutMs } = call.headers;
  if (timeoutMs === undefined) return () => toUpstreamCall(call);
  const until = call.door.clock.nowMs() + timeoutMs;
  return () => ({ ...toUpstreamCall(call), timeoutMs: Math.max(1, until - call.door.clock.nowMs()) });
}

function fail(call: DoorCall, error: unknown, shape: "unary" | "stream"): void {
  if (call.presence.isGone) return;
  if (isUnforeseen(error)) call.door.report(error);
  call.reply.fail(toFailure(error), shape);
}

export function isWatch(rpc: Rpc): boolean {
  return rpc.path === "/etcdserverpb.Watch/Watch";
}

function createsWatch(message: Message): boolean {
  return isMessage(message, WatchRequestSchema) && message.requestUnion.case === "createRequest";
}

function noCreateRequest(): UpstreamError {
  return new UpstreamError({
    status: GrpcStatus.INVALID_ARGUMENT,
    message: "the body ended without a create_request",
    origin: "local",
  });
}
