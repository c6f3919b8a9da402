import { findShareable, type ReadHub, type ReadResult, type ReadScope } from "@etcd-edge/coalesce";
import type { Upstream } from "@etcd-edge/endpoints";
import type { CancelReason } from "@etcd-edge/transport";
import type { CallRecord } from "../relay/call-counters.ts";
import { type CallTransform, transformRequest } from "../relay/call-transform.ts";
import { codeOfCancel } from "../relay/cancel-code.ts";
import type { ClientsCall, ClientsSink } from "../relay/client-state.ts";

/** What such a call is made of. */
export interface SharedReadOptions {
  readonly hub: ReadHub<Upstream>;
  readonly scope: ReadScope;
  readonly downstream: ClientsCall;
  readonly record: CallRecord;
  readonly transform: CallTransform | undefined;
  readonly maxSendBytes: number;
  /** Keys that begin with one of these are read one by one. */
  readonly unshared: (request: Uint8Array) => boolean;
  /** Makes the sink of a call that is relayed by itself; it hears everything from the beginning. */
  readonly relay: () => ClientsSink;
}

/**
 * A Range whose cost others may share.
 *
 *                  half-close, shareable          answer
 *     collecting ────────────────────────▶ shared ───────▶ over
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
    const { hub, scope, downstream, record, transform, maxSendBytes, unshared } = this.#options;
    if (unshared(payload)) return false;
    const transformed = transformRequest(transform, payload);
    if (transformed.t === "refused" || transformed.bytes.length > maxSendBytes) return false;
    const shape = findShareable(transformed.bytes);
    if (shape === undefined) return false;
    record.counts.received++;
    const leave = hub.read(scope, shape, {
      request: transformed.bytes,
      deadlineMs: downstream.deadlineAt,
      settle: (result) => this.#settle(result),
    });
    this.#phase = { t: "shared", payload, leave };
    return true;
  }

  #settle(result: ReadResult): void {
    if (this.#phase.t !== "shared") return;
    const { downstream, record } = this.#options;
    const { payload } = this.#phase;
    switch (result.t) {
      case "answered":
        this.#phase = { t: "over" };
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
