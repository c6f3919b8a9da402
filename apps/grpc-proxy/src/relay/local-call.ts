import { type CancelReason, type ServerCall, type ServerSink, StatusCode } from "@etcd-edge/transport";
import type { LocalAnswerName } from "../rpc-table.ts";
import type { CallRecord } from "./call-counters.ts";
import { codeOfCancel } from "./cancel-code.ts";

/** Makes the bytes of an answer. */
export type LocalAnswer = () => Uint8Array;

/** What this process answers itself. What is not here goes to etcd. */
export type LocalAnswers = Readonly<Partial<Record<LocalAnswerName, LocalAnswer>>>;

/** A unary call that is answered here: the request is taken, and nothing in it changes the answer. */
export class LocalCall implements ServerSink {
  readonly #call: ServerCall;
  readonly #record: CallRecord;
  readonly #answer: LocalAnswer;
  #requests = 0;

  constructor(call: ServerCall, record: CallRecord, answer: LocalAnswer) {
    this.#call = call;
    this.#record = record;
    this.#answer = answer;
  }

  onMessage(): void {
    this.#record.counts.received++;
    this.#requests++;
  }

  onHalfClose(): void {
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
    this.#record.end(codeOfCancel(reason));
  }

  #end(code: number, message: string): void {
    this.#record.end(code);
    this.#call.end({ code, message });
  }
}
