import { GrpcStatus } from "@etcd-edge/proto";
import { JsonInputError } from "../json/json-input-error.ts";
import { type RequestPlace, UpstreamError } from "../upstream/upstream.ts";
import { BodyTooLargeError } from "./body-values.ts";

/** Why a call is not answered, as the peer is told. */
export interface Failure {
  /** Status of gRPC. */
  readonly status: number;
  readonly message: string;
  /** Server: etcd said so. Local: found here, before or instead of etcd's answer. */
  readonly origin: "server" | "local";
  /** Where HTTP has a better word than the profile's table. */
  readonly httpStatus?: number | undefined;
  /** What of the request is wrong, where that is known. */
  readonly place?: RequestPlace | undefined;
  /** After how many seconds it may be tried again, where that is known. */
  readonly retryAfterSeconds?: number | undefined;
}

/** The failure behind anything that was thrown. What nobody foresaw is INTERNAL, without its text. */
export function toFailure(error: unknown): Failure {
  if (error instanceof UpstreamError) {
    const { status, message, origin, httpStatus, place, retryAfterSeconds } = error;
    return { status, message, origin, httpStatus, place, retryAfterSeconds };
  }
  if (error instanceof JsonInputError) {
    const { message, pointer } = error;
    return { status: GrpcStatus.INVALID_ARGUMENT, message, origin: "local", place: { pointer } };
  }
  if (error instanceof BodyTooLargeError) {
    const { message } = error;
    return { status: GrpcStatus.RESOURCE_EXHAUSTED, message, origin: "local", httpStatus: 413 };
  }
  return { status: GrpcStatus.INTERNAL, message: "internal error", origin: "local" };
}

/** True for errors that `toFailure` has no better word for: they belong into the log. */
export function isUnforeseen(error: unknown): boolean {
  return !(
    error instanceof UpstreamError ||
    error instanceof JsonInputError ||
    error instanceof BodyTooLargeError
  );
}
