import type {
  Event,
  KeyValue,
  MessageInitShape,
  RequestOpSchema,
  ResponseOp,
  TxnRequestSchema,
} from "@etcd-edge/proto";
import { Compare_CompareResult, Compare_CompareTarget, Event_EventType } from "@etcd-edge/proto";
import type { Compare, SimpleAction, SimpleAnswer, TxnAction } from "../history/operation.ts";
import type { ChangeEvent, KeySpan, Stored } from "../history/stored.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const toBytes = (text: string): Uint8Array => encoder.encode(text);

/** The fields of a request that name a span. */
export function toRange({ key, end }: KeySpan): { key: Uint8Array; rangeEnd: Uint8Array } {
  return { key: toBytes(key), rangeEnd: toBytes(end ?? "") };
}

/** The span that the fields of a request name. */
export function spanOf(
  asked: { readonly key?: Uint8Array; readonly rangeEnd?: Uint8Array } | undefined,
): KeySpan {
  const key = decoder.decode(asked?.key);
  const end = decoder.decode(asked?.rangeEnd);
  return end === "" ? { key } : { key, end };
}

export function toStored(kv: KeyValue | undefined): Stored {
  return {
    key: decoder.decode(kv?.key),
    value: decoder.decode(kv?.value),
    createRevision: kv?.createRevision ?? 0n,
    modRevision: kv?.modRevision ?? 0n,
    version: kv?.version ?? 0n,
    lease: kv?.lease ?? 0n,
  };
}

export function toChangeEvent(event: Event): ChangeEvent {
  const kind = event.type === Event_EventType.DELETE ? "delete" : "put";
  const kv = toStored(event.kv);
  return event.prevKv === undefined ? { kind, kv } : { kind, kv, prev: toStored(event.prevKv) };
}

function toRequestOp(step: SimpleAction): MessageInitShape<typeof RequestOpSchema> {
  switch (step.t) {
    case "put": {
      const value = { key: toBytes(step.key), value: toBytes(step.value), lease: step.lease };
      return { request: { case: "requestPut", value } };
    }
    case "delete":
      return { request: { case: "requestDeleteRange", value: toRange(step.span) } };
    case "range": {
      const value = { ...toRange(step.span), serializable: step.serializable };
      return { request: { case: "requestRange", value } };
    }
    default:
      return step satisfies never;
  }
}

export function toTxnRequest({
  compares,
  success,
  failure,
}: TxnAction): MessageInitShape<typeof TxnRequestSchema> {
  return {
    compare: compares.map(toCompare),
    success: success.map(toRequestOp),
    failure: failure.map(toRequestOp),
  };
}

function toCompare({
  key,
  target,
  equals,
}: Compare): NonNullable<MessageInitShape<typeof TxnRequestSchema>["compare"]>[number] {
  const common = { key: toBytes(key), result: Compare_CompareResult.EQUAL };
  switch (target) {
    case "value":
      return {
        ...common,
        target: Compare_CompareTarget.VALUE,
        targetUnion: { case: "value", value: toBytes(String(equals)) },
      };
    case "mod":
      return {
        ...common,
        target: Compare_CompareTarget.MOD,
        targetUnion: { case: "modRevision", value: BigInt(equals) },
      };
    case "version":
      return {
        ...common,
        target: Compare_CompareTarget.VERSION,
        targetUnion: { case: "version", value: BigInt(equals) },
      };
    case "create":
      return {
        ...common,
        target: Compare_CompareTarget.CREATE,
        targetUnion: { case: "createRevision", value: BigInt(equals) },
      };
    default:
      return target satisfies never;
  }
}

/** @throws Error for an answer of another kind than any that is asked for */
export function toSimpleAnswer({ response }: ResponseOp): SimpleAnswer {
  switch (response.case) {
    case "responsePut":
      return { t: "put" };
    case "responseDeleteRange":
      return { t: "delete", deleted: Number(response.value.deleted) };
    case "responseRange":
      return { t: "range", kvs: response.value.kvs.map(toStored) };
    case "responseTxn":
    case undefined:
      throw new Error(`a transaction was answered with ${response.case}`);
    default:
      return response satisfies never;
  }
}
