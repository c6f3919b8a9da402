import { GrpcStatus } from "@etcd-edge/proto";
import { UpstreamError } from "../upstream/upstream.ts";

/** INVALID_ARGUMENT for a parameter of the query, which problem details name. */
export function invalidParameter(parameter: string, message: string): UpstreamError {
  return new UpstreamError({
    status: GrpcStatus.INVALID_ARGUMENT,
    message,
    origin: "local",
    place: { parameter },
  });
}
