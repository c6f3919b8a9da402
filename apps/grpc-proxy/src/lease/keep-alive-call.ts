import type { KeepAliveSession, LeaseBook, RenewalAnswer } from "@etcd-edge/coalesce";
import {
  fromBinary,
  hasUnknownFields,
  LeaseKeepAliveRequestSchema,
  LeaseKeepAliveResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import { type CancelReason, metadataValue, StatusCode } from "@etcd-edge/transport";
import type { CallRecord } from "../relay/call-counters.ts";
import { codeOfCancel } from "../relay/cancel-code.ts";
import type { ClientsCall, ClientsSink } from "../relay/client-state.ts";
import type { Credentials } from "../relay/credential.ts";
import { type OpenOwnStream, OwnKeepAlive } from "./own-keep-alive.ts";

/** Renewals of one client without an answer, from which on no more are read. */
const maxPending = 1_024;

export interface KeepAliveCallOptions {
  readonly book: LeaseBook;
  readonly call: ClientsCall;
  readonly credentials: Credentials;
  readonly record: CallRecord;
  /** For what must not be shared. */
  readonly openOwn: OpenOwnStream;
}

/**
 * A client's stream of keepalives, answered from the lease book. As with etcd, an error ends the stream with that error,
 * and after the client's half-close every reply that is due goes out before the stream ends well. Unlike with etcd, the
 * reply for one lease does not wait for that of another: it carries its lease's id.
 *
 *     open ──half-close──▶ finishing ──last reply──▶ over
 *       └──── error, client gone ────────┴─────────▶ over
 */
export class KeepAliveCall implements ClientsSink {
  readonly #call: ClientsCall;
  readonly #record: CallRecord;
  readonly #session: KeepAliveSession;
  readonly #own: OwnKeepAlive;
  #phase: "open" | "finishing" | "over" = "open";
  /** The client does not read: nothing more is taken from it until it does. */
  #isBlocked = false;

  constructor({ book, call, credentials, record, openOwn }: KeepAliveCallOptions) {
    this.#call = call;
    this.#record = record;
    const { credential, metadata } = credentials;
    const hasLeader = metadataValue(metadata, "hasleader") === "true";
    this.#session = book.open(
      { credential, hasLeader },
      {
        onAnswer: (answer) => this.#onAnswer(answer),
        onFailure: ({ code, message, metadata: trailers = [] }) => this.#end(code, message, trailers),
      },
    );
    this.#own = new OwnKeepAlive(openOwn, {
      onReply: (payload) => this.#send(payload),
      onIdle: () => this.#finishIfDone(),
      onFailure: ({ code, message, metadata: trailers }) => this.#end(code, message, trailers),
    });
  }

  onMessage(payload: Buffer): void {
    if (this.#phase !== "open") return;
    this.#record.counts.received++;
    let leaseId: bigint | undefined;
    try {
      if (!hasUnknownFields(payload, LeaseKeepAliveRequestSchema))
        leaseId = fromBinary(LeaseKeepAliveRequestSchema, payload).ID;
    } catch {
      this.#end(StatusCode.internal, "grpc: error unmarshalling request: unexpected EOF");
      return;
    }
    if (leaseId === undefined) this.#own.send(payload);
    else this.#session.renew(leaseId);
    this.#throttle();
  }

  onHalfClose(): void {
    if (this.#phase !== "open") return;
    this.#phase = "finishing";
    this.#own.halfClose();
    this.#finishIfDone();
  }

  onCancel(reason: CancelReason): void {
    this.#leave();
    this.#record.end(codeOfCancel(reason));
  }

  onDrain(): void {
    this.#isBlocked = false;
    this.#throttle();
  }

  #onAnswer({ ttlSeconds, reply }: RenewalAnswer): void {
    this.#send(ttlSeconds === reply.ttlSeconds ? reply.payload : withTtl(reply.payload, ttlSeconds));
    this.#throttle();
    this.#finishIfDone();
  }

  #send(payload: Uint8Array): void {
    if (this.#phase === "over") return;
    this.#record.counts.sent++;
    if (!this.#call.sendMessage(payload)) this.#isBlocked = true;
  }

  #throttle(): void {
    if (this.#phase === "over") return;
    if (this.#isBlocked || this.#session.pending >= maxPending) this.#call.pause();
    else this.#call.resume();
  }

  #finishIfDone(): void {
    if (this.#phase === "finishing" && this.#session.pending === 0 && this.#own.isIdle)
      this.#end(StatusCode.ok, "");
  }

  #end(code: number, message: string, metadata: readonly string[] = []): void {
    if (this.#phase === "over") return;
    this.#leave();
    this.#record.end(code);
    this.#call.end({ code, message, metadata });
  }

  #leave(): void {
    this.#phase = "over";
    this.#session.close();
    this.#own.cancel();
  }
}

/** The same answer with another TTL; whatever else stands in it stays. */
function withTtl(payload: Uint8Array, ttlSeconds: number): Uint8Array {
  const answer = fromBinary(LeaseKeepAliveResponseSchema, payload);
  answer.TTL = BigInt(ttlSeconds);
  return toBinary(LeaseKeepAliveResponseSchema, answer);
}
