import { type Outcome, StatusCode } from "@etcd-edge/transport";

/**
 * What the end of a call says of the member that had it. etcd answers UNAVAILABLE where a request timed out or there is no
 * leader, and nothing at all where it is stuck, until the deadline; every other status takes a member that works. Of calls
 * that did not get there, were lost with their connection (the channel tells of that), were given up, or met a member with too
 * much to do, nothing can be told.
 */
export function verdictOf({
  code,
  progress,
}: Pick<Outcome, "code" | "progress">): "served" | "failed" | "nothing" {
  if (progress === "notSent" || progress === "refused") return "nothing";
  switch (code) {
    case StatusCode.deadlineExceeded:
      return "failed";
    case StatusCode.unavailable:
      return progress === "answered" ? "failed" : "nothing";
    case StatusCode.cancelled:
    case StatusCode.resourceExhausted:
      return "nothing";
    default:
      return progress === "answered" ? "served" : "nothing";
  }
}
