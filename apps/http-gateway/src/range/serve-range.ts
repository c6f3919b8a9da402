import {
  create,
  etcdErrors,
  fromBinary,
  GrpcStatus,
  type RangeRequest,
  RangeRequestSchema,
  type RangeResponse,
  RangeResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import type { Reply } from "../door/reply.ts";
import { encodeJson } from "../json/encode.ts";
import type { JsonStyle } from "../json/json-style.ts";
import { type UnaryAnswer, type Upstream, type UpstreamCall, UpstreamError } from "../upstream/upstream.ts";
import type { RangePages } from "./range-pages.ts";

/** One Range of the JSON door. */
export interface RangeCall {
  readonly upstream: Upstream;
  /** What a page is asked with now: the time that is left gets less. */
  readonly upstreamCall: () => UpstreamCall;
  readonly reply: Reply;
  readonly style: JsonStyle;
}

/** How often a page that fails for want of an endpoint is asked for again: what was sent would be lost with it. */
const maxRetries = 2;

/**
 * Answers a range page by page. The next page is asked for when the client has taken the last one, so that a range of any
 * size costs the memory of a page.
 *
 * Where a later page fails, what was sent is broken off: there is no place in JSON for an error behind half an answer.
 *
 * @throws UpstreamError where the first page fails, with nothing sent
 */
export async function serveRange(call: RangeCall, pages: RangePages): Promise<void> {
  const { reply, style } = call;
  const answer = await ask(call, pages.request);
  const first = fromBinary(RangeResponseSchema, answer.message);
  let goesOn = pages.take(first, answer.message.length);
  if (!goesOn) {
    const whole = create(RangeResponseSchema, { ...first, more: pages.hasMore });
    reply.unary(encodeJson(RangeResponseSchema, whole, style), answer.headers);
    return;
  }
  const { header, kvs } = first;
  const opening = create(RangeResponseSchema, header === undefined ? { kvs } : { header, kvs });
  // What closes the list and the message comes with the last page.
  await reply.part(encodeJson(RangeResponseSchema, opening, style).slice(0, -"]}".length), answer.headers);
  try {
    while (goesOn) {
      const { message } = await askAgain(call, pages.request);
      const page = fromBinary(RangeResponseSchema, message);
      goesOn = pages.take(page, message.length);
      if (page.kvs.length > 0) await reply.part(`,${listOf(page.kvs, style)}`, answer.headers);
    }
    await reply.part(`]${tailOf(pages, style)}`, answer.headers);
    reply.end();
  } catch (error) {
    reply.breakOff();
    if (!(error instanceof UpstreamError)) throw error;
  }
}

/** The keys of a page, without the brackets around them. */
function listOf(kvs: RangeResponse["kvs"], style: JsonStyle): string {
  const text = encodeJson(RangeResponseSchema, create(RangeResponseSchema, { kvs }), style);
  return text.slice('{"kvs":['.length, -"]}".length);
}

/** What stands behind the keys, up to the end of the message. */
function tailOf(pages: RangePages, style: JsonStyle): string {
  const { hasMore, first } = pages;
  const tail = create(RangeResponseSchema, { more: hasMore, count: first?.count ?? 0n });
  return encodeJson(RangeResponseSchema, tail, style).replace("{", ",");
}

function ask(call: RangeCall, request: RangeRequest): Promise<UnaryAnswer> {
  return call.upstream.unary(call.upstreamCall(), toBinary(RangeRequestSchema, request));
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
      if (error.status !== GrpcStatus.UNAVAILABLE || call.upstreamCall().signal.aborted) throw error;
    }
  }
}
