import type { Buffer } from "node:buffer";
import { NO_METADATA, type RawMetadata } from "../grpc/metadata.ts";
import { StatusCode } from "../grpc/status.ts";
import type { ClientCall, ClientSink } from "./client-call.ts";
import { CallError } from "./outcome.ts";

/** Answer to a unary call. */
export interface UnaryAnswer {
  readonly payload: Buffer;
  readonly headers: RawMetadata;
  readonly trailers: RawMetadata;
}

/**
 * One message there, one back. Rejects with CallError, also when a good answer has no message or two.
 *
 * @param open begins the call with the sink given
 */
export function unaryCall(open: (sink: ClientSink) => ClientCall, payload: Uint8Array): Promise<UnaryAnswer> {
  return new Promise((resolve, reject) => {
    let answer: Buffer | undefined;
    let messages = 0;
    let headers: RawMetadata = NO_METADATA;
    const call = open({
      onHeaders: (received) => {
        headers = received;
      },
      onMessage: (received) => {
        answer = received;
        messages++;
      },
      onEnd: (outcome) => {
        if (outcome.code !== StatusCode.ok) {
          reject(new CallError(outcome));
        } else if (answer === undefined || messages !== 1) {
          const message = `unary call was answered with ${messages} messages`;
          reject(new CallError({ ...outcome, code: StatusCode.internal, message }));
        } else {
          resolve({ payload: answer, headers, trailers: outcome.metadata });
        }
      },
    });
    call.sendMessage(payload, true);
  });
}
