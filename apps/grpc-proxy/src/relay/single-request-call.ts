import { foreignCluster, type Upstream } from "@etcd-edge/endpoints";
import type { Rpc } from "@etcd-edge/proto";
import {
  type CancelReason,
  type ClientCall,
  type ClientSink,
  isSafeToResend,
  type Outcome,
  type RawMetadata,
  StatusCode,
} from "@etcd-edge/transport";
import type { CallCourse, Ending, TakenOver, Verdict, Wait } from "../course/call-course.ts";
import { pass } from "../course/call-course.ts";
import type { CallRecord } from "./call-counters.ts";
import { type CallTransform, transformAnswer, transformRequest } from "./call-transform.ts";
import { codeOfCancel } from "./cancel-code.ts";
import type { ClientsCall, ClientsSink } from "./client-state.ts";
import { holdForUpstream } from "./hold.ts";
import { isRead } from "./reads.ts";
import type { RelayContext } from "./relay.ts";

/**
 * A call with one request, unary or with a stream of answers.
 *
 *                     half-close              answer or stream
 *     collecting ───────────────▶ upstream ─────────────────────▶ over
 *                        ▲            │ │ not taken by anybody, or its course wants it elsewhere
 *         somebody came, │            │ ▼
 *         or it is time  └──────────────held ── time is over ───▶ over (14)
 *                                     ▼
 *                                 takenOver: its course answers it ─▶ over
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
  | { readonly t: "takenOver"; readonly by: TakenOver }
  | { readonly t: "over" };

/** What such a call is made of. */
export interface SingleRequestOptions {
  readonly rpc: Rpc;
  readonly downstream: ClientsCall;
  readonly record: CallRecord;
  /** What is forwarded of the client's metadata, asked for each time the call is sent. */
  readonly metadata: () => RawMetadata;
  readonly transform: CallTransform | undefined;
  readonly course: CallCourse | undefined;
  /** Sees every answer that the client is shown. */
  readonly observe?: ((answer: Uint8Array) => void) | undefined;
}

/** Relays one such call. Made when the call begins. */
export class SingleRequestCall implements ClientsSink {
  readonly #context: RelayContext;
  readonly #rpc: Rpc;
  readonly #downstream: ClientsCall;
  readonly #record: CallRecord;
  readonly #metadata: () => RawMetadata;
  readonly #transform: CallTransform | undefined;
  readonly #course: CallCourse | undefined;
  readonly #observe: ((answer: Uint8Array) => void) | undefined;
  #phase: Phase = { t: "collecting", request: undefined };
  /** Endpoints that provably did not take the call. Made only when there is one. */
  #tried: Set<Upstream> | undefined;
  #connectBy = 0;
  #holdUntilMs = 0;
  #hasAnswered = false;

  constructor(context: RelayContext, options: SingleRequestOptions) {
    this.#context = context;
    this.#rpc = options.rpc;
    this.#downstream = options.downstream;
    this.#record = options.record;
    this.#metadata = options.metadata;
    this.#transform = options.transform;
    this.#course = options.course;
    this.#observe = options.observe;
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
    const now = performance.now();
    this.#connectBy = now + this.#context.upstreamWaitMs;
    this.#holdUntilMs = now + (isRead(this.#rpc) ? this.#context.upstreamReadWaitMs : 0);
    this.#forward(request, undefined);
  }

  onCancel(reason: CancelReason): void {
    this.#record.end(codeOfCancel(reason));
    const phase = this.#phase;
    this.#phase = { t: "over" };
    if (phase.t === "upstream") phase.call.cancel();
    if (phase.t === "held") phase.stop();
    if (phase.t === "takenOver") phase.by.onCancel();
  }

  onDrain(): void {
    if (this.#phase.t === "upstream") this.#phase.call.resume();
    if (this.#phase.t === "takenOver") this.#phase.by.onDrain();
  }

  #forward(request: Uint8Array, failure: Outcome | undefined): void {
    const upstream =
      this.#course?.pick === undefined
        ? this.#context.balancer.pick(this.#tried)
        : this.#course.pick(this.#tried);
    if (upstream === undefined) {
      this.#hold(request, failure);
      return;
    }
    const channel = this.#rpc.kind === "unary" ? upstream.calls : upstream.streams;
    const { path, deadlineAt } = this.#downstream;
    this.#course?.onSend?.(request);
    const connectBy = this.#connectBy;
    const options = deadlineAt === undefined ? { connectBy } : { connectBy, deadlineAt };
    const call = channel.open(path, this.#metadata(), options, this.#answers);
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
      const { request, upstream } = this.#phase;
      const verdict = this.#judge(payload, upstream);
      if (verdict.t !== "pass") {
        this.#phase = { t: "over" }; // what the call still says is not heard
        call.cancel();
        this.#obey(verdict, request);
        return;
      }
      const answer = transformAnswer(this.#transform, payload, call);
      if (answer !== undefined && !this.#show(answer)) call.pause();
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
      const ending = this.#course?.onEnd?.(outcome, upstream, !this.#hasAnswered) ?? pass;
      if (ending.t === "pass") {
        this.#record.end(outcome.code);
        this.#downstream.end(outcome);
      } else {
        this.#obey(ending, request);
      }
    },
  };

  #judge(answer: Uint8Array, upstream: Upstream): Verdict {
    if (this.#rpc.kind === "unary" && !this.#context.balancer.believes(upstream, answer))
      return { t: "refuse", refusal: foreignCluster };
    return this.#course?.judge?.(answer, upstream, !this.#hasAnswered) ?? pass;
  }

  #obey(wish: Exclude<Verdict | Ending, { t: "pass" }>, request: Uint8Array): void {
    switch (wish.t) {
      case "again":
        this.#wait(wish.wait, request);
        break;
      case "refuse":
        this.#end(wish.refusal.code, wish.refusal.message);
        break;
      case "takeOver":
        this.#handOver(wish.start, request);
        break;
      default:
        wish satisfies never;
    }
  }

  #wait(wait: Wait, request: Uint8Array): void {
    const held: Phase = { t: "held", stop: () => stop() };
    let stop = (): void => {};
    this.#phase = held;
    stop = wait(() => {
      if (this.#phase === held) this.#forward(request, undefined);
    });
  }

  #handOver(start: Extract<Ending, { t: "takeOver" }>["start"], request: Uint8Array): void {
    const by = start(request, {
      send: (payload, upstream) => {
        if (this.#phase.t !== "takenOver") return false;
        const verdict = this.#judge(payload, upstream);
        if (verdict.t !== "pass") {
          this.#phase = { t: "over" };
          by.onCancel();
          this.#obey(verdict, request);
          return false;
        }
        return this.#show(this.#transform?.response(payload) ?? payload);
      },
      end: (status) => {
        if (this.#phase.t === "takenOver") this.#end(status.code, status.message);
      },
    });
    this.#phase = { t: "takenOver", by };
  }

  #show(answer: Uint8Array): boolean {
    this.#hasAnswered = true;
    this.#record.counts.sent++;
    this.#observe?.(answer);
    return this.#downstream.sendMessage(answer);
  }

  #end(code: number, message: string): void {
    this.#phase = { t: "over" };
    this.#record.end(code);
    this.#downstream.end({ code, message });
  }
}
