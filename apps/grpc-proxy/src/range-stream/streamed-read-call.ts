import type { ReadResult, ReadSeat } from "@etcd-edge/coalesce";
import {
  create,
  fromBinary,
  RangeRequestSchema,
  RangeResponseSchema,
  RangeStreamResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import { AnswerableCall } from "../reads/answerable-call.ts";
import { refuseStreaming } from "./range-pages.ts";

/** Bytes of keys and values in one message, about. */
const messageBytes = 1024 * 1024;

/** A RangeStream. One of a range that is held here is answered from there, as a Range of it would be; all others are relayed. */
export class StreamedReadCall extends AnswerableCall {
  #messages: Uint8Array[] = [];

  protected takes(seat: ReadSeat, payload: Buffer): boolean {
    if (refuseStreaming(fromBinary(RangeRequestSchema, payload)) !== undefined) return false;
    const { desk } = this.options.service;
    const isHeld = seat.own.query.revision === 0n && desk.isHeld(seat);
    if (!isHeld) desk.note(seat);
    return isHeld;
  }

  protected send({ head, body }: ReadResult & { readonly t: "answered" }): boolean {
    this.#messages = toMessages(Buffer.concat([head, body]));
    return this.sendMore();
  }

  /** What the client takes now; the rest when it takes more. */
  protected sendMore(): boolean {
    const { downstream, record } = this.options;
    for (;;) {
      const next = this.#messages.shift();
      if (next === undefined) return true;
      record.counts.sent++;
      if (!downstream.sendMessage(next) && this.#messages.length > 0) return false;
    }
  }
}

/** The answer of a Range as etcd 3.7 streams it: keys first, then header, `more` and `count` with the last of them. */
export function toMessages(answer: Uint8Array): Uint8Array[] {
  const { header, kvs, more, count } = fromBinary(RangeResponseSchema, answer);
  const messages: Uint8Array[] = [];
  let start = 0;
  let bytes = 0;
  for (const [index, kv] of kvs.entries()) {
    bytes += kv.key.length + kv.value.length;
    if (bytes < messageBytes || index === kvs.length - 1) continue;
    messages.push(toMessage({ kvs: kvs.slice(start, index + 1) }));
    start = index + 1;
    bytes = 0;
  }
  messages.push(
    toMessage({ ...(header === undefined ? {} : { header }), kvs: kvs.slice(start), more, count }),
  );
  return messages;
}

function toMessage(part: Parameters<typeof create<typeof RangeResponseSchema>>[1]): Uint8Array {
  const rangeResponse = create(RangeResponseSchema, part);
  return toBinary(RangeStreamResponseSchema, create(RangeStreamResponseSchema, { rangeResponse }));
}
