import { create, type Message, type Rpc, toBinary } from "@etcd-edge/proto";
import type { CallStyle } from "../http/call-style.ts";
import type { ValueReader } from "../http/value-reader.ts";
import type { JsonDocument } from "../json/json-node.ts";
import { decodeInput, type JsonProfile } from "../profile/json-profile.ts";
import { UpstreamError } from "../upstream/upstream.ts";
import { refuse } from "./refusals.ts";
import type { RequestMemo } from "./request-memo.ts";

/** A request as both sides of the door need it. */
export interface Request {
  readonly message: Message;
  readonly bytes: Uint8Array;
}

/** Where the requests of a call come from, one by one. */
export interface RequestSource {
  /**
   * The next one, or nothing at the end.
   * @throws JsonInputError, BodyTooLargeError, or UpstreamError for a request that is not sent on
   */
  next(): Promise<Request | undefined>;
}

/** Of a body: each JSON value is one. */
export function createJsonRequests(
  rpc: Rpc,
  values: ValueReader,
  { profile, style }: { profile: JsonProfile; style: CallStyle },
): RequestSource {
  return {
    next: async () => {
      const document = await values.next();
      if (document === undefined) return undefined;
      return toRequest(rpc, profile, decodeInput(profile, rpc.input, document, style.bytes));
    },
  };
}

/** Of a body that is one value: what stands behind it is never looked at. @param read the value; called once */
export function createSingleRequest(
  read: () => Promise<JsonDocument | undefined>,
  meant: { readonly rpc: Rpc; readonly profile: JsonProfile; readonly style: CallStyle },
  memo: RequestMemo,
): RequestSource {
  return {
    next: async () => {
      const document = await read();
      return document === undefined ? undefined : readSingleRequest(document, meant, memo);
    },
  };
}

/** @throws JsonInputError, or UpstreamError for a request that is not sent on */
export function readSingleRequest(
  document: JsonDocument,
  meant: { readonly rpc: Rpc; readonly profile: JsonProfile; readonly style: CallStyle },
  memo: RequestMemo,
): Request {
  const { rpc, profile, style } = meant;
  return memo.read(meant, document, () =>
    toRequest(rpc, profile, decodeInput(profile, rpc.input, document, style.bytes)),
  );
}

/** Of a query: these and no others. */
export function createQueryRequests(
  rpc: Rpc,
  profile: JsonProfile,
  messages: readonly Message[],
): RequestSource {
  const left = [...messages];
  return {
    next: async () => {
      const message = left.shift();
      return message === undefined ? undefined : toRequest(rpc, profile, message);
    },
  };
}

/** What a body without a value asks. */
export function emptyRequest(rpc: Rpc): Request {
  return { message: create(rpc.input), bytes: new Uint8Array() };
}

function toRequest(rpc: Rpc, profile: JsonProfile, message: Message): Request {
  const refusal = refuse(profile, message);
  if (refusal !== undefined) throw new UpstreamError(refusal);
  return { message, bytes: toBinary(rpc.input, message) };
}
