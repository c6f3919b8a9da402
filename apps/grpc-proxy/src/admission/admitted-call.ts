import type { Admission } from "@etcd-edge/coalesce";
import type { CancelReason } from "@etcd-edge/transport";
import type { CallRecord } from "../relay/call-counters.ts";
import { codeOfCancel } from "../relay/cancel-code.ts";
import type { ClientsCall, ClientsSink } from "../relay/client-state.ts";
import { type Admissions, kindOfRange, type WorkKind } from "./admissions.ts";

/** What such a call is made of. */
export interface AdmittedCallOptions {
  readonly admissions: Admissions;
  /** `range`: what kind of read it is shows in the request. */
  readonly work: "range" | "write";
  readonly downstream: ClientsCall;
  readonly record: CallRecord;
  /** Makes the sink that relays the call; it hears everything from the beginning, and ends the given record. */
  readonly relay: (record: CallRecord) => ClientsSink;
}

/**
 * A call with one request that begins when etcd may be given one more of its kind.
 *
 *                  half-close           its turn
 *     collecting ────────────▶ waiting ─────────▶ relayed
 *                                 └─ turned away ─▶ over (8)
 */
type Phase =
  | { readonly t: "collecting"; readonly payload: Buffer | undefined }
  | { readonly t: "waiting"; readonly payload: Buffer | undefined }
  | { readonly t: "relayed"; readonly to: ClientsSink }
  | { readonly t: "over" };

/** Holds a call back until its turn comes. */
export class AdmittedCall implements ClientsSink {
  readonly #options: AdmittedCallOptions;
  #phase: Phase = { t: "collecting", payload: undefined };
  #leave: () => void = () => {};

  constructor(options: AdmittedCallOptions) {
    this.#options = options;
  }

  onMessage(payload: Buffer): void {
    const phase = this.#phase;
    if (phase.t === "relayed") phase.to.onMessage(payload, this.#options.downstream);
    else if (phase.t !== "collecting") return;
    else if (phase.payload === undefined) this.#phase = { t: "collecting", payload };
    // A second message is an error, and its relay says which.
    else this.#relay(phase.payload).onMessage(payload, this.#options.downstream);
  }

  onHalfClose(): void {
    const phase = this.#phase;
    if (phase.t === "relayed") phase.to.onHalfClose(this.#options.downstream);
    if (phase.t !== "collecting") return;
    const { work, admissions } = this.#options;
    const kind: WorkKind = work === "write" ? "write" : kindOfRange(phase.payload ?? nothing);
    const admission = admissions.of(kind);
    this.#phase = { t: "waiting", payload: phase.payload };
    if (admission === undefined) this.#begin();
    else this.#enter(admission, kind);
  }

  onCancel(reason: CancelReason): void {
    const phase = this.#phase;
    if (phase.t === "relayed") {
      phase.to.onCancel(reason, this.#options.downstream);
      return;
    }
    this.#phase = { t: "over" };
    this.#leave();
    this.#options.record.end(codeOfCancel(reason));
  }

  onDrain(): void {
    if (this.#phase.t === "relayed") this.#phase.to.onDrain?.(this.#options.downstream);
  }

  #enter(admission: Admission<unknown>, kind: WorkKind): void {
    const { downstream, record, admissions } = this.#options;
    this.#leave = admission.enter({
      client: downstream.client,
      start: () => this.#begin(),
      turnAway: (why) => {
        this.#phase = { t: "over" };
        const refusal = admissions.refusal(kind, why);
        record.end(refusal.code);
        downstream.end(refusal);
      },
    });
  }

  #begin(): void {
    if (this.#phase.t !== "waiting") return;
    this.#relay(this.#phase.payload).onHalfClose(this.#options.downstream);
  }

  #relay(payload: Buffer | undefined): ClientsSink {
    const { record, relay, downstream } = this.#options;
    const to = relay({
      counts: record.counts,
      end: (code) => {
        record.end(code);
        // The place is known only once `enter` has returned, which may be after a call that ends at once.
        queueMicrotask(() => this.#leave());
      },
    });
    this.#phase = { t: "relayed", to };
    if (payload !== undefined) to.onMessage(payload, downstream);
    return to;
  }
}

const nothing = new Uint8Array(0);
