import type { Upstream } from "@etcd-edge/endpoints";
import type { Rpc } from "@etcd-edge/proto";
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
import type { CallRecord } from "./call-counters.ts";
import { type CallTransform, transformAnswer, transformRequest } from "./call-transform.ts";
import { codeOfCancel } from "./cancel-code.ts";
import { holdForUpstream } from "./hold.ts";
import { isRead } from "./reads.ts";
import type { RelayContext } from "./relay.ts";

/**
 * A call with one request, unary or with a stream of answers.
 *
 *                     half-close              answer or stream
 *     collecting ───────────────▶ upstream ─────────────────────▶ over
 *                        ▲            │ not taken by anybody
 *         somebody came  │            ▼
 *                        └───────── held ──── time is over ─────▶ over (14)
 */
type Phase =
  | { readonly t: "collecting"; readonly request: Uint8Array | undefined }
  | {
      readonly t: "upstream";
      readonly request: Uint8Array;
      readonly upstream: Upstream;
      readonly call: ClientCall;
    }
  | { readonly t: "held"; readonly stop: () => void }
  | { readonly t: "over" };

/** Relays one such call. Made when the call begins. */
export class SingleRequestCall implements ServerSink {
  readonly #context: RelayContext;
  readonly #rpc: Rpc;
  readonly #downstream: ServerCall;
  readonly #record: CallRecord;
  readonly #transform: CallTransform | undefined;
  #phase: Phase = { t: "collecting", request: undefined };
  /** Endpoints that provably did not take the call. Made only when there is one. */
  #tried: Set<Upstream> | undefined;
  #holdUntilMs = 0;
  #hasAnswered = false;

  constructor(
    context: RelayContext,
    rpc: Rpc,
    downstream: ServerCall,
    record: CallRecord,
    transform: CallTransform | undefined,
  ) {
    this.#context = context;
    this.#rpc = rpc;
    this.#downstream = downstream;
    this.#record = record;
    this.#transform = transform;
  }

  onMessage(payload: Buffer): void {
    this.#record.counts.received++;
    if (this.#phase.t !== "collecting") return;
    if (this.#phase.request !== undefined) {
      this.#end(StatusCode.internal, "the call has more than one request message");
    } else {
      this.#takeRequest(payload);
    }
  }

  #takeRequest(payload: Buffer): void {
    const transformed = transformRequest(this.#transform, payload);
    if (transformed.t === "refused") {
      this.#end(transformed.refusal.code, transformed.refusal.message);
    } else if (transformed.bytes.length > this.#context.maxSendBytes) {
      // What etcd itself says past --max-request-bytes; its Go proxy says 8 here.
      this.#end(StatusCode.invalidArgument, "etcdserver: request is too large");
    } else {
      this.#phase = { t: "collecting", request: transformed.bytes };
    }
  }

  onHalfClose(): void {
    if (this.#phase.t !== "collecting") return;
    const { request } = this.#phase;
    if (request === undefined) {
      this.#end(StatusCode.unknown, "EOF"); // code and text of grpc-go for a call without its message
      return;
    }
    this.#holdUntilMs = performance.now() + (isRead(this.#rpc) ? this.#context.upstreamWaitMs : 0);
    this.#forward(request, undefined);
  }

  onCancel(reason: CancelReason): void {
    this.#record.end(codeOfCancel(reason));
    const phase = this.#phase;
    this.#phase = { t: "over" };
    if (phase.t === "upstream") phase.call.cancel();
    if (phase.t === "held") phase.stop();
  }

  onDrain(): void {
    if (this.#phase.t === "upstream") this.#phase.call.resume();
  }

  #forward(request: Uint8Array, failure: Outcome | undefined): void {
    const upstream = this.#context.balancer.pick(this.#tried);
    if (upstream === undefined) {
      this.#hold(request, failure);
      return;
    }
    const channel = this.#rpc.kind === "unary" ? upstream.calls : upstream.streams;
    const { path, metadata, deadlineAt } = this.#downstream;
    const call = channel.open(path, metadata, deadlineAt === undefined ? {} : { deadlineAt }, this.#answers);
    this.#phase = { t: "upstream", request, upstream, call };
    call.sendMessage(request, true);
  }

  #hold(request: Uint8Array, failure: Outcome | undefined): void {
    if (performance.now() >= this.#holdUntilMs) {
      this.#end(StatusCode.unavailable, failure?.message ?? "no etcd endpoint is available");
      return;
    }
    const stop = holdForUpstream(this.#context, this.#holdUntilMs, () => {
      if (this.#phase.t !== "held") return;
      this.#tried = undefined;
      this.#forward(request, failure);
    });
    this.#phase = { t: "held", stop };
  }

  readonly #answers: ClientSink = {
    onHeaders: (metadata: RawMetadata): void => {
      if (metadata.length === 0) return; // plain headers go with the first message
      this.#hasAnswered = true;
      this.#downstream.sendHeaders(metadata);
    },
    onMessage: (payload: Buffer, call: ClientCall): void => {
      if (this.#phase.t !== "upstream") return;
      this.#hasAnswered = true;
      this.#record.counts.sent++;
      const answer = transformAnswer(this.#transform, payload, call);
      if (answer !== undefined && !this.#downstream.sendMessage(answer)) call.pause();
    },
    onEnd: (outcome: Outcome): void => {
      if (this.#phase.t !== "upstream") return;
      const { request, upstream } = this.#phase;
      if (isSafeToResend(outcome) && outcome.code === StatusCode.unavailable && !this.#hasAnswered) {
        this.#tried ??= new Set();
        this.#tried.add(upstream);
        this.#forward(request, outcome);
        return;
      }
      this.#phase = { t: "over" };
      this.#record.end(outcome.code);
      this.#downstream.end(outcome);
    },
  };

  #end(code: number, message: string): void {
    this.#phase = { t: "over" };
    this.#record.end(code);
    this.#downstream.end({ code, message });
  }
}
