import type { Reader, ReadResult } from "@etcd-edge/coalesce";
import {
  create,
  fromBinary,
  RangeRequestSchema,
  RangeResponseSchema,
  RangeStreamResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import type { CancelReason } from "@etcd-edge/transport";
import type { ReadService } from "../reads/read-service.ts";
import type { CallRecord } from "../relay/call-counters.ts";
import { codeOfCancel } from "../relay/cancel-code.ts";
import type { ClientsCall, ClientsSink } from "../relay/client-state.ts";
import { refuseStreaming } from "./range-pages.ts";

/** What such a call is made of. */
export interface StreamedReadOptions {
  readonly service: ReadService;
  readonly reader: Reader;
  readonly downstream: ClientsCall;
  readonly record: CallRecord;
  /** Makes the sink of a call that is relayed by itself; it hears everything from the beginning. */
  readonly relay: () => ClientsSink;
}

/** Bytes of keys and values in one message, about. */
const messageBytes = 1024 * 1024;

/**
 * A RangeStream. One of a range that is held here is answered from there, as a Range of it would be; all others are relayed.
 *
 *     collecting ── held here ──▶ reading ── answer ──▶ sending ── all taken ──▶ over
 *         │                         └── not known any more ──┐
 *         └── not held ──▶ relayed ◀─────────────────────────┘
 */
type Phase =
  | { readonly t: "collecting"; readonly payload: Buffer | undefined }
  | { readonly t: "reading"; readonly payload: Buffer; readonly leave: () => void }
  | { readonly t: "sending"; readonly messages: Uint8Array[] }
  | { readonly t: "relayed"; readonly to: ClientsSink }
  | { readonly t: "over" };

/** See {@link Phase}. */
export class StreamedReadCall implements ClientsSink {
  readonly #options: StreamedReadOptions;
  #phase: Phase = { t: "collecting", payload: undefined };

  constructor(options: StreamedReadOptions) {
    this.#options = options;
  }

  onMessage(payload: Buffer): void {
    if (this.#phase.t === "relayed") {
      this.#phase.to.onMessage(payload, this.#options.downstream);
    } else if (this.#phase.t === "collecting") {
      const { payload: first } = this.#phase;
      if (first === undefined) this.#phase = { t: "collecting", payload };
      else this.#relay(first).onMessage(payload, this.#options.downstream);
    }
  }

  onHalfClose(): void {
    if (this.#phase.t === "relayed") this.#phase.to.onHalfClose(this.#options.downstream);
    if (this.#phase.t !== "collecting") return;
    const { payload } = this.#phase;
    if (payload === undefined || !this.#read(payload))
      this.#relay(payload).onHalfClose(this.#options.downstream);
  }

  onCancel(reason: CancelReason): void {
    const phase = this.#phase;
    this.#phase = { t: "over" };
    if (phase.t === "relayed") {
      phase.to.onCancel(reason, this.#options.downstream);
      return;
    }
    this.#options.record.end(codeOfCancel(reason));
    if (phase.t === "reading") phase.leave();
  }

  onDrain(): void {
    if (this.#phase.t === "relayed") this.#phase.to.onDrain?.(this.#options.downstream);
    else if (this.#phase.t === "sending") this.#send(this.#phase.messages);
  }

  #read(payload: Buffer): boolean {
    const { service, reader, downstream, record } = this.#options;
    const seat = service.seatOf(reader, payload);
    if (seat === undefined || refuseStreaming(fromBinary(RangeRequestSchema, payload)) !== undefined)
      return false;
    const { desk } = service;
    desk.note(seat);
    if (seat.own.query.revision > 0n || !desk.isHeld(seat)) return false;
    record.counts.received++;
    const floor = service.floorOf(downstream.client.data, reader);
    const known = desk.answerNow(seat, floor);
    if (known !== undefined) {
      this.#settle(known, payload);
      return true;
    }
    const leave = desk.read(seat, {
      floor,
      deadlineMs: downstream.deadlineAt,
      client: downstream.client,
      settle: (result) => {
        if (this.#phase.t === "reading") this.#settle(result, payload);
      },
    });
    this.#phase = { t: "reading", payload, leave };
    return true;
  }

  #settle(result: ReadResult, payload: Buffer): void {
    const { service, reader, downstream, record } = this.#options;
    if (result.t === "aside") {
      record.counts.received--; // it is counted where it is relayed
      this.#relay(payload).onHalfClose(downstream);
    } else if (result.t === "failed") {
      this.#phase = { t: "over" };
      record.end(result.failure.code);
      downstream.end(result.failure);
    } else {
      service.raiseFloor(downstream.client.data, reader.scope.read.credential, result.revision);
      this.#send(toMessages(Buffer.concat([result.head, result.body])));
    }
  }

  /** Sends what the client takes now; the rest when it takes more. */
  #send(messages: Uint8Array[]): void {
    const { downstream, record } = this.#options;
    this.#phase = { t: "sending", messages };
    for (;;) {
      const next = messages.shift();
      if (next === undefined) break;
      record.counts.sent++;
      if (!downstream.sendMessage(next) && messages.length > 0) return;
    }
    this.#phase = { t: "over" };
    record.end(0);
    downstream.end();
  }

  #relay(payload: Buffer | undefined): ClientsSink {
    const to = this.#options.relay();
    this.#phase = { t: "relayed", to };
    if (payload !== undefined) to.onMessage(payload, this.#options.downstream);
    return to;
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
