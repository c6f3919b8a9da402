import { GrpcStatus } from "@etcd-edge/proto";
import { UpstreamError } from "../upstream/upstream.ts";

/** What streams are told that this process cannot carry on: clients resume on it, elsewhere. */
export function goingAway(): UpstreamError {
  const message = "gateway is shutting down";
  return new UpstreamError({ status: GrpcStatus.UNAVAILABLE, message, origin: "local" });
}
