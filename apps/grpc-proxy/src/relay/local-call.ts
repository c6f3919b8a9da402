import { hasUnknownFields, type Rpc } from "@etcd-edge/proto";
import { type CancelReason, StatusCode } from "@etcd-edge/transport";
import type { LocalAnswerName } from "../rpc-table.ts";
import type { CallRecord } from "./call-counters.ts";
import { codeOfCancel } from "./cancel-code.ts";
import type { ClientsCall, ClientsSink } from "./client-state.ts";

/** Makes the bytes of an answer. */
export type LocalAnswer = () => Uint8Array;

/** What this process answers itself. What is not here goes to etcd. */
export type LocalAnswers = Readonly<Partial<Record<LocalAnswerName, LocalAnswer>>>;

export interface LocalCallOptions {
  readonly answer: LocalAnswer;
  readonly input: Rpc["input"];
  /** Relays the call to etcd instead. */
  readonly forward: () => ClientsSink;
}

/**
 * A unary call that is answered here: the request is taken, and nothing in it changes the answer. One that says what the
 * schema does not know goes to etcd after all (rule 35).
 */
export class LocalCall implements ClientsSink {
  readonly #call: ClientsCall;
  readonly #record: CallRecord;
  readonly #answer: LocalAnswer;
  readonly #input: Rpc["input"];
  readonly #forward: () => ClientsSink;
  #requests = 0;
  /** Who relays the call, if that is what becomes of it. */
  #relayed: ClientsSink | undefined;

  constructor(call: ClientsCall, record: CallRecord, options: LocalCallOptions) {
    this.#call = call;
    this.#record = record;
    this.#answer = options.answer;
    this.#input = options.input;
    this.#forward = options.forward;
  }

  onMessage(payload: Buffer): void {
    if (this.#requests === 0 && this.#isBeyondUs(payload)) this.#relayed = this.#forward();
    if (this.#relayed !== undefined) {
      this.#relayed.onMessage(payload, this.#call);
      return;
    }
    this.#record.counts.received++;
    this.#requests++;
  }

  onDrain(): void {
    this.#relayed?.onDrain?.(this.#call);
  }

  #isBeyondUs(payload: Buffer): boolean {
    try {
      return hasUnknownFields(payload, this.#input);
    } catch {
      return true; // etcd knows what to say to bytes that are no request
    }
  }

  onHalfClose(): void {
    if (this.#relayed !== undefined) {
      this.#relayed.onHalfClose(this.#call);
      return;
    }
    if (this.#requests === 0) {
      this.#end(StatusCode.unknown, "EOF"); // code and text of grpc-go for a call without its message
    } else if (this.#requests > 1) {
      this.#end(StatusCode.internal, "the call has more than one request message");
    } else {
      this.#call.sendMessage(this.#answer());
      this.#record.counts.sent++;
      this.#end(StatusCode.ok, "");
    }
  }

  onCancel(reason: CancelReason): void {
    this.#relayed?.onCancel(reason, this.#call);
    this.#record.end(codeOfCancel(reason));
  }

  #end(code: number, message: string): void {
    this.#record.end(code);
    this.#call.end({ code, message });
  }
}
