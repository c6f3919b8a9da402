import { GrpcStatus } from "@etcd-edge/proto";
import type { Outcome, RawMetadata } from "@etcd-edge/transport";
import { type Metadata, UpstreamError } from "./upstream.ts";

/** Clocks and timers of both ends differ by this much. */
const toleranceMs = 5;

/**
 * A call that did not end well, as the door tells it on. What ends a call at its deadline is the deadline: the server
 * knows it, too, and its own word for it (a reset, UNKNOWN) may be here first.
 *
 * @param deadlineAt as `performance.now()`
 */
export function toUpstreamError(outcome: Outcome, deadlineAt: number | undefined): UpstreamError {
  const { code, message, progress } = outcome;
  if (deadlineAt !== undefined && performance.now() >= deadlineAt - toleranceMs) {
    const text = "context deadline exceeded";
    return new UpstreamError({ status: GrpcStatus.DEADLINE_EXCEEDED, message: text, origin: "local" });
  }
  return new UpstreamError({ status: code, message, origin: progress === "answered" ? "server" : "local" });
}

const contentType: Metadata = ["content-type", "application/grpc"];

/** Response headers with the content type, which the channel has checked and taken off. */
export function withContentType(metadata: RawMetadata): Metadata {
  return metadata.length === 0 ? contentType : [...contentType, ...metadata];
}
