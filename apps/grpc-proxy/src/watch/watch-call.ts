import type { FanPort, SessionPort, WatchSession } from "@etcd-edge/coalesce";
import { hasUnknownFields, WatchRequestSchema } from "@etcd-edge/proto";
import { type CancelReason, StatusCode } from "@etcd-edge/transport";
import type { WatchIdentity } from "@etcd-edge/watching";
import type { CallRecord } from "../relay/call-counters.ts";
import { codeOfCancel } from "../relay/cancel-code.ts";
import { addWatchHint } from "../relay/certificate-hint.ts";
import type { ClientsCall, ClientsSink } from "../relay/client-state.ts";
import { frameOnce } from "./frame-once.ts";

/**
 *     waiting ──first message──▶ coalesced        a session of the watch hub
 *         └── it has fields that we do not know ──▶ relayed   bytes, to an etcd of its own (rule 35)
 */
type Phase =
  | { readonly t: "waiting" }
  | { readonly t: "coalesced"; readonly session: WatchSession }
  | { readonly t: "relayed"; readonly sink: ClientsSink };

const waiting: Phase = { t: "waiting" };

/** What all watch calls have in common. */
export interface WatchHost {
  openSession(port: WatchCall): WatchSession;
  /** Called once for every session that `openSession` gave. */
  closed(session: WatchSession, port: WatchCall): void;
  /** Passes the call on as bytes. */
  relay(port: WatchCall): ClientsSink;
  /** The connection of a call, if what its streams have in common may be sent by it. */
  fansOf(call: ClientsCall): FanPort | undefined;
}

/** A client's Watch call. */
export class WatchCall implements ClientsSink, SessionPort {
  readonly call: ClientsCall;
  readonly record: CallRecord;
  /** Sees the beginning of every answer, with its header. */
  readonly observe: ((answer: Uint8Array) => void) | undefined;
  readonly identity: WatchIdentity;
  readonly #host: WatchHost;
  /** Who the client may think it is, without a token that says so. */
  readonly #certificateUser: string | undefined;
  #phase: Phase = waiting;

  constructor(
    call: ClientsCall,
    record: CallRecord,
    host: WatchHost,
    observe: ((answer: Uint8Array) => void) | undefined,
    identity: WatchIdentity,
    certificateUser: string | undefined,
  ) {
    this.call = call;
    this.record = record;
    this.observe = observe;
    this.#host = host;
    this.identity = identity;
    this.#certificateUser = identity.credential() === undefined ? certificateUser : undefined;
  }

  get fans(): FanPort | undefined {
    return this.#host.fansOf(this.call);
  }

  /** A message went to so many calls like this one. */
  noteSent(head: Uint8Array, calls: number): void {
    this.record.counts.sent += calls;
    if (calls > 0) this.observe?.(head);
  }

  onMessage(payload: Buffer, call: ClientsCall): void {
    try {
      const isUnknown = this.#phase.t !== "relayed" && hasUnknownFields(payload, WatchRequestSchema);
      const phase = this.#phase.t === "waiting" ? this.#begin(isUnknown) : this.#phase;
      if (phase.t === "relayed") {
        phase.sink.onMessage(payload, call);
        return;
      }
      this.record.counts.received++;
      if (isUnknown) this.#refuseUnknown();
      else phase.session.onMessage(payload);
    } catch {
      // The words of grpc-go for bytes that are no such message.
      this.#fail(StatusCode.internal, "grpc: error unmarshalling request: unexpected EOF");
    }
  }

  onHalfClose(call: ClientsCall): void {
    // etcd goes on sending to a client that has said all it wants to say.
    if (this.#phase.t === "relayed") this.#phase.sink.onHalfClose(call);
  }

  onCancel(reason: CancelReason, call: ClientsCall): void {
    if (this.#phase.t === "relayed") {
      this.#phase.sink.onCancel(reason, call);
      return;
    }
    this.record.end(codeOfCancel(reason));
    this.#close();
  }

  onDrain(call: ClientsCall): void {
    if (this.#phase.t === "relayed") this.#phase.sink.onDrain?.(call);
    else if (this.#phase.t === "coalesced") this.#phase.session.onDrain();
  }

  // ---- of the session ----

  send(head: Uint8Array, body: Uint8Array): boolean {
    const { call } = this;
    this.noteSent(head, 1);
    if (body.length === 0 && this.#certificateUser !== undefined)
      return call.sendMessage(addWatchHint(this.#certificateUser, head));
    return body.length === 0 ? call.sendMessage(head) : call.sendFramed(frameOnce(head, body));
  }

  end(code: number, message: string): void {
    this.record.end(code);
    this.#close();
    this.call.end({ code, message });
  }

  #begin(isUnknown: boolean): Exclude<Phase, { t: "waiting" }> {
    const phase = isUnknown
      ? ({ t: "relayed", sink: this.#host.relay(this) } as const)
      : ({ t: "coalesced", session: this.#host.openSession(this) } as const);
    this.#phase = phase;
    return phase;
  }

  /** A stream that is shared already cannot be passed on any more: refused by name rather than dropped. */
  #refuseUnknown(): void {
    this.#fail(
      StatusCode.unimplemented,
      "etcd-edge: a watch request has a field that this version does not know; it must be the first of its stream",
    );
  }

  #fail(code: number, message: string): void {
    if (this.#phase.t === "coalesced") this.#phase.session.end(code, message);
    else this.end(code, message);
  }

  #close(): void {
    const phase = this.#phase;
    this.#phase = waiting;
    if (phase.t !== "coalesced") return;
    phase.session.close();
    this.#host.closed(phase.session, this);
  }
}
