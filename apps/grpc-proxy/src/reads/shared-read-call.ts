import type { Reader, ReadResult } from "@etcd-edge/coalesce";
import type { CancelReason } from "@etcd-edge/transport";
import type { CallRecord } from "../relay/call-counters.ts";
import { codeOfCancel } from "../relay/cancel-code.ts";
import type { ClientsCall, ClientsSink } from "../relay/client-state.ts";
import type { ReadService } from "./read-service.ts";

/** What such a call is made of. */
export interface SharedReadOptions {
  readonly service: ReadService;
  readonly reader: Reader;
  readonly downstream: ClientsCall;
  readonly record: CallRecord;
  /** Makes the sink of a call that is relayed by itself; it hears everything from the beginning. */
  readonly relay: () => ClientsSink;
}

/**
 * A Range that is answered from memory, or whose cost others may share.
 *
 *         ┌──────────── half-close, known here ────────────▶ over
 *         │        half-close, shareable          answer      ▲
 *     collecting ────────────────────────▶ shared ────────────┘
 *         │ not shareable, second message      │ aside
 *         └────────────────▶ relayed ◀─────────┘
 */
type Phase =
  | { readonly t: "collecting"; readonly payload: Buffer | undefined }
  | { readonly t: "shared"; readonly payload: Buffer; readonly leave: () => void }
  | { readonly t: "relayed"; readonly to: ClientsSink }
  | { readonly t: "over" };

/** Answers one Range. */
export class SharedReadCall implements ClientsSink {
  readonly #options: SharedReadOptions;
  #phase: Phase = { t: "collecting", payload: undefined };

  constructor(options: SharedReadOptions) {
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
    if (this.#phase.t === "relayed") {
      this.#phase.to.onHalfClose(this.#options.downstream);
      return;
    }
    if (this.#phase.t !== "collecting") return;
    const { payload } = this.#phase;
    if (payload === undefined || !this.#share(payload)) {
      this.#relay(payload).onHalfClose(this.#options.downstream);
    }
  }

  onCancel(reason: CancelReason): void {
    const phase = this.#phase;
    this.#phase = { t: "over" };
    if (phase.t === "relayed") {
      phase.to.onCancel(reason, this.#options.downstream);
      return;
    }
    this.#options.record.end(codeOfCancel(reason));
    if (phase.t === "shared") phase.leave();
  }

  onDrain(): void {
    if (this.#phase.t === "relayed") this.#phase.to.onDrain?.(this.#options.downstream);
  }

  #share(payload: Buffer): boolean {
    const { service, reader, downstream, record } = this.#options;
    const seat = service.seatOf(reader, payload);
    if (seat === undefined) return false;
    record.counts.received++;
    const { desk } = service;
    const { client } = downstream;
    const floor = service.floorOf(client.data, reader);
    const known = desk.answerNow(seat, floor);
    if (known !== undefined) {
      this.#settle(known, payload);
      return true;
    }
    if (service.isOrdered && seat.own.query.isSerializable) {
      record.counts.received--; // it is counted where it is relayed
      desk.note(seat);
      return false;
    }
    const leave = desk.read(seat, {
      floor,
      deadlineMs: downstream.deadlineAt,
      client,
      settle: (result) => {
        if (this.#phase.t === "shared") this.#settle(result, payload);
      },
    });
    this.#phase = { t: "shared", payload, leave };
    return true;
  }

  #settle(result: ReadResult, payload: Buffer): void {
    const { downstream, record, service } = this.#options;
    switch (result.t) {
      case "answered":
        this.#phase = { t: "over" };
        service.raiseFloor(
          downstream.client.data,
          this.#options.reader.scope.read.credential,
          result.revision,
        );
        record.counts.sent++;
        record.end(0);
        downstream.sendMessageParts(result.head, result.body);
        downstream.end();
        break;
      case "failed":
        this.#phase = { t: "over" };
        record.end(result.failure.code);
        downstream.end(result.failure);
        break;
      case "aside":
        record.counts.received--; // it is counted where it is relayed
        this.#relay(payload).onHalfClose(downstream);
        break;
      default:
        result satisfies never;
    }
  }

  /** From here on somebody else answers. @returns who */
  #relay(payload: Buffer | undefined): ClientsSink {
    const to = this.#options.relay();
    this.#phase = { t: "relayed", to };
    if (payload !== undefined) to.onMessage(payload, this.#options.downstream);
    return to;
  }
}
