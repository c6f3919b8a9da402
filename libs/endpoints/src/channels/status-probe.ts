import { fromBinary, StatusResponseSchema } from "@etcd-edge/proto";
import { CallError, type Channel, NO_METADATA, StatusCode } from "@etcd-edge/transport";
import type { ProbeResult } from "../health/probe.ts";

const nothing = new Uint8Array(0);

/** Codes that only a server with a working etcd behind it gives. */
const answers: ReadonlySet<number> = new Set([
  StatusCode.unauthenticated,
  StatusCode.permissionDenied,
  StatusCode.unimplemented,
  StatusCode.invalidArgument,
]);

/**
 * Asks for `Maintenance.Status` over a channel in use. It needs no user, and is answered from the member's own state.
 * Alive is a voting member that knows a leader; an answer without any member id comes from another proxy and counts as
 * alive. Silence until the signal fires is told as silence.
 */
export async function probeStatus(channel: Channel, signal: AbortSignal): Promise<ProbeResult> {
  try {
    const { payload } = await channel.unaryCall("/etcdserverpb.Maintenance/Status", NO_METADATA, nothing, {
      signal,
    });
    const { header, leader, isLearner, raftTerm, version } = fromBinary(StatusResponseSchema, payload);
    const { memberId = 0n, clusterId = 0n } = header ?? {};
    if (isLearner) return { t: "unreachable", error: "is a learner", clusterId };
    if (memberId === 0n) return { t: "alive" };
    if (leader === 0n) return { t: "unreachable", error: "has no leader", clusterId };
    return { t: "alive", member: { memberId, clusterId, leaderId: leader, raftTerm, version } };
  } catch (error) {
    if (error instanceof CallError && answers.has(error.code)) {
      return error.message.startsWith("etcdserver: ") ? { t: "alive", isGuarded: true } : { t: "alive" };
    }
    const message = error instanceof Error ? error.message : String(error);
    return signal.aborted
      ? { t: "silent", error: "no answer in time" }
      : { t: "unreachable", error: message };
  }
}
