import { GrpcStatus } from "@etcd-edge/proto";
import { formatGoDuration } from "@etcd-edge/runtime";
import { UpstreamError } from "../upstream/upstream.ts";

/** The body of a request did not come in time. @param timeoutMs what it had */
export function bodyTooSlow(timeoutMs: number): UpstreamError {
  const message = `the request body did not come within ${formatGoDuration(timeoutMs)}`;
  return new UpstreamError({
    status: GrpcStatus.DEADLINE_EXCEEDED,
    message,
    origin: "local",
    httpStatus: 408,
  });
}
