import { etcdErrors } from "@etcd-edge/proto";
import { ProbeError } from "./probe-flight.ts";

const permissionDenied = 7;
const unauthenticated = 16;

const codeNames: Readonly<Record<number, string>> = {
  3: "InvalidArgument",
  7: "PermissionDenied",
  9: "FailedPrecondition",
  13: "Internal",
  14: "Unavailable",
  16: "Unauthenticated",
};

/** As etcd words the reason of a create that it refuses: the error as grpc-go prints it. */
export function refusalText(error: unknown): string {
  if (!(error instanceof ProbeError)) return error instanceof Error ? error.message : String(error);
  return `rpc error: code = ${codeNames[error.code] ?? "Unknown"} desc = ${error.message}`;
}

/**
 * Whether etcd has answered that these credentials may not read this range, now or ever: the token is forgotten, auth was
 * switched on, or a permission is gone. A token of an older revision of users and roles is none of these: it is told so now and
 * then while they change.
 */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof ProbeError)) return false;
  const { code, message } = error;
  return code === permissionDenied || code === unauthenticated || message === etcdErrors.userEmpty.message;
}
