import type { Upstream } from "@etcd-edge/endpoints";
import {
  type CancelReason,
  type ClientCall,
  type ClientSink,
  isSafeToResend,
  type Outcome,
  type RawMetadata,
  StatusCode,
} from "@etcd-edge/transport";
import type { CallRecord } from "./call-counters.ts";
import { type CallTransform, transformAnswer, transformRequest } from "./call-transform.ts";
import { codeOfCancel } from "./cancel-code.ts";
import type { ClientsCall, ClientsSink } from "./client-state.ts";
import type { RelayContext } from "./relay.ts";

/**
 * A call that may stream both ways, forwarded from its first byte on.
 *
 *     upstream ──first answer──▶ bound ──▶ over
 *       │  ▲
 *       └──┘ not taken: on to the next endpoint, with what the client has sent so far
 */
type Phase =
  | { readonly t: "upstream"; readonly upstream: Upstream; readonly call: ClientCall }
  | { readonly t: "bound"; readonly call: ClientCall }
  | { readonly t: "over" };

/** What a client sent before the first answer is kept up to this size, so that it can be sent elsewhere. */
const maxReplayBytes = 64 * 1024;

/** What such a call is made of. */
export interface StreamingOptions {
  readonly downstream: ClientsCall;
  readonly record: CallRecord;
  /** What is forwarded of the client's metadata. */
  readonly metadata: RawMetadata;
  readonly transform: CallTransform | undefined;
  /** Sees every answer of etcd's before the client does. */
  readonly observe: ((answer: Uint8Array) => void) | undefined;
}

/** Relays one such call. Made when the call begins, and opens upstream at once. */
export class StreamingCall implements ClientsSink {
  readonly #context: RelayContext;
  readonly #downstream: ClientsCall;
  readonly #record: CallRecord;
  readonly #metadata: RawMetadata;
  readonly #transform: CallTransform | undefined;
  readonly #connectBy: number;
  readonly #observe: ((answer: Uint8Array) => void) | undefined;
  readonly #tried = new Set<Upstream>();
  #phase: Phase = { t: "over" };
  /** Nothing once the call is bound, or the client has sent too much to keep. */
  #replay: Uint8Array[] | undefined = [];
  #replayBytes = 0;
  #isHalfClosed = false;

  constructor(context: RelayContext, options: StreamingOptions) {
    this.#context = context;
    this.#downstream = options.downstream;
    this.#record = options.record;
    this.#metadata = options.metadata;
    this.#transform = options.transform;
    this.#observe = options.observe;
    this.#connectBy = performance.now() + this.#context.upstreamWaitMs;
    this.#connect("no etcd endpoint is available");
  }

  onMessage(payload: Buffer): void {
    if (this.#phase.t === "over") return;
    this.#record.counts.received++;
    const { call } = this.#phase;
    const transformed = transformRequest(this.#transform, payload);
    if (transformed.t === "refused") {
      call.cancel();
      this.#end(transformed.refusal);
    } else if (transformed.bytes.length > this.#context.maxSendBytes) {
      call.cancel();
      this.#end({ code: StatusCode.invalidArgument, message: "etcdserver: request is too large" });
    } else {
      this.#keep(transformed.bytes);
      if (!call.sendMessage(transformed.bytes)) this.#downstream.pause();
    }
  }

  #keep(payload: Uint8Array): void {
    this.#replayBytes += payload.length;
    if (this.#replayBytes > maxReplayBytes) this.#replay = undefined;
    this.#replay?.push(payload);
  }

  onHalfClose(): void {
    this.#isHalfClosed = true;
    if (this.#phase.t !== "over") this.#phase.call.halfClose();
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
    const { path, deadlineAt } = this.#downstream;
    const connectBy = this.#connectBy;
    const options = deadlineAt === undefined ? { connectBy } : { connectBy, deadlineAt };
    const call = upstream.streams.open(path, this.#metadata, options, this.#answers);
    this.#phase = { t: "upstream", upstream, call };
    for (const message of this.#replay ?? []) call.sendMessage(message);
    if (this.#isHalfClosed) call.halfClose();
  }

  #bind(call: ClientCall): void {
    if (this.#phase.t === "upstream") this.#phase = { t: "bound", call };
    this.#replay = undefined;
  }

  readonly #answers: ClientSink = {
    onHeaders: (metadata: RawMetadata, call: ClientCall): void => {
      if (this.#phase.t === "over") return;
      this.#bind(call);
      this.#downstream.sendHeaders(metadata);
    },
    onMessage: (payload: Buffer, call: ClientCall): void => {
      if (this.#phase.t === "over") return;
      this.#record.counts.sent++;
      this.#observe?.(payload);
      const answer = transformAnswer(this.#transform, payload, call);
      if (answer !== undefined && !this.#downstream.sendMessage(answer)) call.pause();
    },
    onDrain: (): void => this.#downstream.resume(),
    onEnd: (outcome: Outcome): void => {
      const phase = this.#phase;
      if (phase.t === "over") return;
      const mayMove = phase.t === "upstream" && this.#replay !== undefined;
      if (mayMove && isSafeToResend(outcome) && outcome.code === StatusCode.unavailable) {
        this.#tried.add(phase.upstream);
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
