import { type ClientCall, type Outcome, StatusCode } from "@etcd-edge/transport";

/** A client whose deadline is this near ends its call by itself, and is often quicker than the deadline here. */
const deadlineSlackMs = 100;

/**
 * What the end of a call says of the member that had it. etcd answers UNAVAILABLE where a request timed out or there is no
 * leader, and nothing at all where it is stuck, until the deadline; every other status takes a member that works. Of calls
 * that did not get there, were lost with their connection (the channel tells of that), were given up, or met a member with too
 * much to do, nothing can be told; nor of locks and elections, which wait for other clients.
 *
 * @param nowMs of `performance.now()`
 */
export function verdictOf(
  { code, progress }: Pick<Outcome, "code" | "progress">,
  { path, deadlineAt }: Pick<ClientCall, "path" | "deadlineAt">,
  nowMs: number,
): "served" | "failed" | "nothing" {
  if (progress === "notSent" || progress === "refused" || !path.startsWith("/etcdserverpb."))
    return "nothing";
  switch (code) {
    case StatusCode.deadlineExceeded:
      return "failed";
    case StatusCode.cancelled:
      return deadlineAt !== undefined && deadlineAt - nowMs <= deadlineSlackMs ? "failed" : "nothing";
    case StatusCode.unavailable:
      return progress === "answered" ? "failed" : "nothing";
    case StatusCode.resourceExhausted:
      return "nothing";
    default:
      return progress === "answered" ? "served" : "nothing";
  }
}
