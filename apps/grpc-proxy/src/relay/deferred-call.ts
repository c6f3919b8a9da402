import { type CancelReason, StatusCode } from "@etcd-edge/transport";
import type { CallRecord } from "./call-counters.ts";
import { codeOfCancel } from "./cancel-code.ts";
import type { ClientsCall, ClientsSink } from "./client-state.ts";

/**
 *     waiting ──the sink is there──▶ passing
 *        └── it cannot be had ──▶ over (14)
 */
type Phase =
  | { readonly t: "waiting"; readonly missed: ((sink: ClientsSink) => void)[] }
  | { readonly t: "passing"; readonly sink: ClientsSink }
  | { readonly t: "over" };

/** A call whose handler is made when something else is there. What the client says meanwhile is kept, within its window. */
export class DeferredCall implements ClientsSink {
  #phase: Phase = { t: "waiting", missed: [] };
  readonly #record: CallRecord;

  constructor(call: ClientsCall, record: CallRecord, sink: Promise<() => ClientsSink>) {
    this.#record = record;
    sink.then(
      (make) => {
        if (this.#phase.t !== "waiting") return;
        const { missed } = this.#phase;
        const made = make();
        this.#phase = { t: "passing", sink: made };
        for (const tell of missed) tell(made);
      },
      (error: unknown) => {
        if (this.#phase.t !== "waiting") return;
        this.#phase = { t: "over" };
        const message = error instanceof Error ? error.message : String(error);
        record.end(StatusCode.unavailable);
        call.end({ code: StatusCode.unavailable, message });
      },
    );
  }

  onMessage(payload: Buffer, call: ClientsCall): void {
    this.#pass((sink) => sink.onMessage(payload, call));
  }

  onHalfClose(call: ClientsCall): void {
    this.#pass((sink) => sink.onHalfClose(call));
  }

  onDrain(call: ClientsCall): void {
    this.#pass((sink) => sink.onDrain?.(call));
  }

  onCancel(reason: CancelReason, call: ClientsCall): void {
    if (this.#phase.t === "passing") this.#phase.sink.onCancel(reason, call);
    else if (this.#phase.t === "waiting") this.#record.end(codeOfCancel(reason));
    this.#phase = { t: "over" };
  }

  #pass(tell: (sink: ClientsSink) => void): void {
    if (this.#phase.t === "passing") tell(this.#phase.sink);
    else if (this.#phase.t === "waiting") this.#phase.missed.push(tell);
  }
}
