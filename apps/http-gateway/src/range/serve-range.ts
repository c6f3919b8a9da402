import {
  create,
  etcdErrors,
  GrpcStatus,
  type RangeRequest,
  RangeRequestSchema,
  RangeResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import type { Reply } from "../door/reply.ts";
import type { JsonStyle } from "../json/json-style.ts";
import { transcode, transcodeFields } from "../json/transcode.ts";
import { type UnaryAnswer, type Upstream, type UpstreamCall, UpstreamError } from "../upstream/upstream.ts";
import { readPage } from "./page-view.ts";
import type { RangePages } from "./range-pages.ts";
import type { RangeStreams } from "./range-streams.ts";

/** One Range of the JSON door. */
export interface RangeCall {
  readonly upstream: Upstream;
  readonly streams: RangeStreams;
  /** What a page is asked with now: the time that is left gets less. */
  readonly upstreamCall: () => UpstreamCall;
  readonly reply: Reply;
  readonly style: JsonStyle;
}

/** How often a page that fails for want of an endpoint is asked for again: what was sent would be lost with it. */
const maxRetries = 2;

/**
 * Answers a range page by page; what is behind the first comes as a stream where etcd has one. No more is asked for than the client
 * has taken, so that a range of any size costs the memory of a page.
 *
 * Where a later page fails, what was sent is broken off: there is no place in JSON for an error behind half an answer.
 *
 * @throws UpstreamError where the first page fails, with nothing sent
 */
export async function serveRange(call: RangeCall, pages: RangePages): Promise<void> {
  const { reply, style } = call;
  const answer = await ask(call, pages.request);
  pages.take(readPage(answer.message), answer.message.length);
  if (pages.isDone) {
    reply.unary(transcode(RangeResponseSchema, answer.message, style), answer.headers);
    return;
  }
  const first = transcodeFields(RangeResponseSchema, answer.message, style);
  // What closes the list and the message comes with the last page.
  const header = first("header");
  const opening = `{${header === undefined ? "" : `"header":${header},`}"kvs":[${first("kvs")}`;
  await reply.part(opening, answer.headers);
  try {
    for await (const message of readRest(call, pages)) {
      const kvs = transcodeFields(RangeResponseSchema, message, style)("kvs");
      if (kvs !== undefined) await reply.part(`,${kvs}`, answer.headers);
    }
    await reply.part(`]${pages.hasMore ? ',"more":true' : ""},"count":"${pages.count}"}`, answer.headers);
    reply.end();
  } catch (error) {
    reply.breakOff();
    if (!(error instanceof UpstreamError)) throw error;
  }
}

/**
 * RangeResponses with the keys behind the first page: of a stream where there is one, else page by page. A stream that breaks off
 * is nothing that the client has to know of: pages go on behind the last key that came.
 */
async function* readRest(call: RangeCall, pages: RangePages): AsyncGenerator<Uint8Array> {
  const { streams, upstream } = call;
  if (pages.isLong && streams.areWorthTrying) {
    try {
      for await (const message of streams.read(upstream, call.upstreamCall(), toBytes(pages.rest))) {
        pages.takePart(readPage(message), message.length);
        yield message;
      }
      pages.finish();
    } catch (error) {
      if (!(error instanceof UpstreamError) || call.upstreamCall().presence.isGone) throw error;
    }
  }
  while (!pages.isDone) {
    const { message } = await askAgain(call, pages.request);
    pages.take(readPage(message), message.length);
    yield message;
  }
}

function toBytes(request: RangeRequest): Uint8Array {
  return toBinary(RangeRequestSchema, request);
}

function ask(call: RangeCall, request: RangeRequest): Promise<UnaryAnswer> {
  return call.upstream.unary(call.upstreamCall(), toBytes(request));
}

/** A later page: what it shows is decided, so that it may be asked for more than once, and of anybody. */
async function askAgain(call: RangeCall, request: RangeRequest): Promise<UnaryAnswer> {
  for (let retries = 0; ; retries++) {
    try {
      return await ask(call, request);
    } catch (error) {
      if (!(error instanceof UpstreamError) || retries === maxRetries) throw error;
      if (error.message === etcdErrors.futureRevision.message && request.serializable) {
        // A member that is behind the one that answered the first page; with a quorum nobody is.
        return await ask(call, create(RangeRequestSchema, { ...request, serializable: false }));
      }
      if (error.status !== GrpcStatus.UNAVAILABLE || call.upstreamCall().presence.isGone) throw error;
    }
  }
}
