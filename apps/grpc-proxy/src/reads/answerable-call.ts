import type { Reader, ReadResult, ReadSeat } from "@etcd-edge/coalesce";
import type { CancelReason } from "@etcd-edge/transport";
import type { CallRecord } from "../relay/call-counters.ts";
import { codeOfCancel } from "../relay/cancel-code.ts";
import type { ClientsCall, ClientsSink } from "../relay/client-state.ts";
import type { ReadService } from "./read-service.ts";

/** What such a call is made of. */
export interface AnswerableCallOptions {
  readonly service: ReadService;
  readonly reader: Reader;
  readonly downstream: ClientsCall;
  readonly record: CallRecord;
  /** Makes the sink of a call that is relayed by itself; it hears everything from the beginning. */
  readonly relay: () => ClientsSink;
}

/**
 * A call of one request that is answered here where that can be, and relayed where not.
 *
 *                  half-close, known here, or shareable              answer
 *     collecting ─────────────────────────────────────▶ reading ───────────────▶ answering ──▶ over
 *         │ neither, or a second message                   │ not to be shared
 *         └────────────────▶ relayed ◀─────────────────────┘
 */
type Phase =
  | { readonly t: "collecting"; readonly payload: Buffer | undefined }
  | { readonly t: "reading"; readonly payload: Buffer; readonly leave: () => void }
  | { readonly t: "answering" }
  | { readonly t: "relayed"; readonly to: ClientsSink }
  | { readonly t: "over" };

/** See {@link Phase}. What may be answered here, and how an answer is sent, is each kind's own. */
export abstract class AnswerableCall implements ClientsSink {
  protected readonly options: AnswerableCallOptions;
  #phase: Phase = { t: "collecting", payload: undefined };

  constructor(options: AnswerableCallOptions) {
    this.options = options;
  }

  /** Whether the request is to be answered here; where not it is relayed. */
  protected abstract takes(seat: ReadSeat, payload: Buffer): boolean;

  /** Sends the answer, or begins to. @returns whether that was all */
  protected abstract send(answer: ReadResult & { readonly t: "answered" }): boolean;

  /** The client takes more. @returns whether that was all */
  protected abstract sendMore(): boolean;

  onMessage(payload: Buffer): void {
    if (this.#phase.t === "relayed") {
      this.#phase.to.onMessage(payload, this.options.downstream);
    } else if (this.#phase.t === "collecting") {
      const { payload: first } = this.#phase;
      if (first === undefined) this.#phase = { t: "collecting", payload };
      else this.#relay(first).onMessage(payload, this.options.downstream);
    }
  }

  onHalfClose(): void {
    if (this.#phase.t === "relayed") {
      this.#phase.to.onHalfClose(this.options.downstream);
    } else if (this.#phase.t === "collecting") {
      const { payload } = this.#phase;
      if (payload === undefined || !this.#read(payload))
        this.#relay(payload).onHalfClose(this.options.downstream);
    }
  }

  onCancel(reason: CancelReason): void {
    const phase = this.#phase;
    this.#phase = { t: "over" };
    if (phase.t === "relayed") {
      phase.to.onCancel(reason, this.options.downstream);
      return;
    }
    this.options.record.end(codeOfCancel(reason));
    if (phase.t === "reading") phase.leave();
  }

  onDrain(): void {
    if (this.#phase.t === "relayed") this.#phase.to.onDrain?.(this.options.downstream);
    else if (this.#phase.t === "answering" && this.sendMore()) this.#end();
  }

  #read(payload: Buffer): boolean {
    const { service, reader, downstream, record } = this.options;
    const { desk } = service;
    const seat = service.seatOf(reader, payload);
    if (seat === undefined || !this.takes(seat, payload)) return false;
    const floor = service.floorOf(downstream.client.data, reader);
    const known = desk.answerNow(seat, floor);
    if (known === undefined && service.isOrdered && seat.own.query.isSerializable) {
      desk.note(seat);
      return false;
    }
    record.counts.received++;
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
    const { downstream, reader, record, service } = this.options;
    switch (result.t) {
      case "answered":
        service.raiseFloor(downstream.client.data, reader.scope.read.credential, result.revision);
        this.#phase = { t: "answering" };
        if (this.send(result)) this.#end();
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

  #end(): void {
    this.#phase = { t: "over" };
    this.options.record.end(0);
    this.options.downstream.end();
  }

  /** From here on somebody else answers. @returns who */
  #relay(payload: Buffer | undefined): ClientsSink {
    const to = this.options.relay();
    this.#phase = { t: "relayed", to };
    if (payload !== undefined) to.onMessage(payload, this.options.downstream);
    return to;
  }
}
