import { type CancelReason, StatusCode } from "@etcd-edge/transport";

/** The code under which a call that its client gave up is counted. */
export function codeOfCancel(reason: CancelReason): number {
  switch (reason.t) {
    case "reset":
    case "connectionLost":
      return StatusCode.cancelled;
    case "deadline":
      return StatusCode.deadlineExceeded;
    case "rejected":
      return reason.code;
    default:
      return reason satisfies never;
  }
}
