import { type ClientCall, StatusCode } from "@etcd-edge/transport";

import type { RequestCheck } from "./lethal-requests.ts";

/** The answer to a call that is not forwarded. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

/** What is done to the messages of a call on their way. Throws where a message is not what the schema says. */
export interface CallTransform {
  /** Calls are answered with this and go nowhere. */
  readonly refusal?: Refusal;
  /** Asked before `request`: why this message must go nowhere, or nothing. */
  readonly check?: RequestCheck;
  request(payload: Uint8Array): Uint8Array;
  response(payload: Uint8Array): Uint8Array;
}

/** The transform of an RPC, or nothing where its bytes pass as they are. */
export type FindTransform = (path: string) => CallTransform | undefined;

/**
 * Applies a transform to a request.
 * @returns the bytes to send, or the refusal of bytes that are no such message, in the words of grpc-go
 */
export function transformRequest(
  transform: CallTransform | undefined,
  payload: Buffer,
):
  | { readonly t: "bytes"; readonly bytes: Uint8Array }
  | { readonly t: "refused"; readonly refusal: Refusal } {
  if (transform === undefined) return { t: "bytes", bytes: payload };
  try {
    const refusal = transform.check?.(payload);
    if (refusal !== undefined) return { t: "refused", refusal };
    return { t: "bytes", bytes: transform.request(payload) };
  } catch {
    // What exactly is wrong in the bytes helps nobody: a client that follows the schema never gets here.
    return {
      t: "refused",
      refusal: { code: StatusCode.internal, message: "grpc: error unmarshalling request: unexpected EOF" },
    };
  }
}

/** Applies a transform to an answer. One that cannot be transformed ends its call with 13, and nothing of it is shown. */
export function transformAnswer(
  transform: CallTransform | undefined,
  payload: Buffer,
  call: ClientCall,
): Uint8Array | undefined {
  if (transform === undefined) return payload;
  try {
    return transform.response(payload);
  } catch (error) {
    call.cancel(StatusCode.internal, error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
