import {
  type CancelReason,
  type ClientCall,
  type ClientSink,
  isSafeToResend,
  type Outcome,
  type RawMetadata,
  type ServerCall,
  type ServerSink,
  StatusCode,
} from "@etcd-edge/transport";
import type { Upstream } from "@etcd-edge/endpoints";
import type { CallRecord } from "./call-counters.ts";
import { codeOfCancel } from "./cancel-code.ts";
import type { RelayContext } from "./relay.ts";

/**
 * A call that may stream both ways, forwarded from its first byte on. Until a message of it was handed to an endpoint it
 * moves on to the next one when an endpoint cannot be reached; after that its end is final.
 *
 *     connecting ──first message or half-close──▶ flowing ──▶ over
 */
type Phase =
  | { readonly t: "connecting"; readonly upstream: Upstream; readonly call: ClientCall }
  | { readonly t: "flowing"; readonly call: ClientCall }
  | { readonly t: "over" };

/** Relays one such call. Made when the call begins, and opens upstream at once. */
export class StreamingCall implements ServerSink {
  readonly #context: RelayContext;
  readonly #downstream: ServerCall;
  readonly #record: CallRecord;
  readonly #tried = new Set<Upstream>();
  #phase: Phase = { t: "over" };

  constructor(context: RelayContext, downstream: ServerCall, record: CallRecord) {
    this.#context = context;
    this.#downstream = downstream;
    this.#record = record;
    this.#connect("no etcd endpoint is available");
  }

  onMessage(payload: Buffer): void {
    const call = this.#flow();
    if (call === undefined) return;
    this.#record.counts.received++;
    if (payload.length > this.#context.maxSendBytes) {
      call.cancel();
      this.#end({ code: StatusCode.invalidArgument, message: "etcdserver: request is too large" });
    } else if (!call.sendMessage(payload)) {
      this.#downstream.pause();
    }
  }

  onHalfClose(): void {
    this.#flow()?.halfClose();
  }

  onCancel(reason: CancelReason): void {
    const phase = this.#phase;
    this.#phase = { t: "over" };
    this.#record.end(codeOfCancel(reason));
    if (phase.t !== "over") phase.call.cancel();
  }

  onDrain(): void {
    if (this.#phase.t !== "over") this.#phase.call.resume();
  }

  #connect(failure: string): void {
    const upstream = this.#context.balancer.pick(this.#tried);
    if (upstream === undefined) {
      this.#end({ code: StatusCode.unavailable, message: failure });
      return;
    }
    const { path, metadata, deadlineAt } = this.#downstream;
    const options = deadlineAt === undefined ? {} : { deadlineAt };
    this.#phase = { t: "connecting", upstream, call: upstream.streams.open(path, metadata, options, this.#answers) };
  }

  /** From here on messages are with one endpoint. */
  #flow(): ClientCall | undefined {
    if (this.#phase.t === "connecting") this.#phase = { t: "flowing", call: this.#phase.call };
    return this.#phase.t === "flowing" ? this.#phase.call : undefined;
  }

  readonly #answers: ClientSink = {
    onHeaders: (metadata: RawMetadata): void => {
      if (this.#phase.t !== "over") this.#downstream.sendHeaders(metadata);
    },
    onMessage: (payload: Buffer, call: ClientCall): void => {
      if (this.#phase.t === "over") return;
      this.#record.counts.sent++;
      if (!this.#downstream.sendMessage(payload)) call.pause();
    },
    onDrain: (): void => this.#downstream.resume(),
    onEnd: (outcome: Outcome): void => {
      if (this.#phase.t === "over") return;
      const mayMove = this.#phase.t === "connecting" && outcome.code === StatusCode.unavailable;
      if (mayMove && isSafeToResend(outcome) && this.#phase.t === "connecting") {
        this.#tried.add(this.#phase.upstream);
        this.#connect(outcome.message);
        return;
      }
      this.#end(outcome);
    },
  };

  #end(status: { code: number; message: string }): void {
    this.#phase = { t: "over" };
    this.#record.end(status.code);
    this.#downstream.end(status);
  }
}
