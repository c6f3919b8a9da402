import { STATUS_CODES } from "node:http";
import { GrpcStatus } from "@etcd-edge/proto";
import type { JsonProfile } from "../profile/json-profile.ts";

/** Statuses that are the same in every generation of grpc-gateway from 1.6 on. */
const common: ReadonlyMap<number, number> = new Map([
  [GrpcStatus.OK, 200],
  [GrpcStatus.UNKNOWN, 500],
  [GrpcStatus.INVALID_ARGUMENT, 400],
  [GrpcStatus.DEADLINE_EXCEEDED, 504],
  [GrpcStatus.NOT_FOUND, 404],
  [GrpcStatus.ALREADY_EXISTS, 409],
  [GrpcStatus.PERMISSION_DENIED, 403],
  [GrpcStatus.RESOURCE_EXHAUSTED, 429],
  [GrpcStatus.ABORTED, 409],
  [GrpcStatus.OUT_OF_RANGE, 400],
  [GrpcStatus.UNIMPLEMENTED, 501],
  [GrpcStatus.INTERNAL, 500],
  [GrpcStatus.UNAVAILABLE, 503],
  [GrpcStatus.DATA_LOSS, 500],
  [GrpcStatus.UNAUTHENTICATED, 401],
]);

/** The HTTP status that the profile answers a gRPC status with. Unknown ones are 500. */
export function httpStatusOf(profile: JsonProfile, grpcStatus: number): number {
  if (grpcStatus === GrpcStatus.CANCELLED) return profile.generation === "v2" ? 499 : 408;
  if (grpcStatus === GrpcStatus.FAILED_PRECONDITION) return profile.failedPreconditionStatus;
  return common.get(grpcStatus) ?? 500;
}

/** The reason phrase as Go's `http.StatusText` has it; empty for a status it does not know. */
export function httpStatusText(status: number): string {
  return STATUS_CODES[status] ?? "";
}
