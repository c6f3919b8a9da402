import { fromBinary, RangeRequestSchema, StatusResponseSchema, toBinary } from "@etcd-edge/proto";
import { CallError, type Channel, type ClientCall, type RawMetadata } from "@etcd-edge/transport";
import { anyRead, isRefusal, objectionTo } from "../etcd/member-questions.ts";
import type { ProbeResult } from "../health/probe.ts";
import { toFailure } from "../health/socket-probes.ts";

const nothing = new Uint8Array(0);
/** No metadata, in an array of its own: by it our looks are told from work. */
const ofLooks: RawMetadata = [];
const anyReadBytes = toBinary(RangeRequestSchema, anyRead);

/**
 * Asks for `Maintenance.Status` over a channel in use. It needs no user, and is answered from the member's own state.
 * Alive is a voting member that knows a leader; an answer without any member id comes from another proxy and counts as
 * alive. Silence until the signal fires is told as silence.
 */
export async function probeStatus(channel: Channel, signal: AbortSignal): Promise<ProbeResult> {
  try {
    const { payload } = await channel.unaryCall("/etcdserverpb.Maintenance/Status", ofLooks, nothing, {
      signal,
    });
    const status = fromBinary(StatusResponseSchema, payload);
    const { header, leader, isLearner, raftTerm, version } = status;
    const { memberId = 0n, clusterId = 0n } = header ?? {};
    if (memberId === 0n && !isLearner) return { t: "alive" };
    const error = objectionTo(status);
    if (error !== undefined) return { t: "unreachable", error, clusterId };
    return { t: "alive", member: { memberId, clusterId, leaderId: leader, raftTerm, version } };
  } catch (error) {
    if (error instanceof CallError && isRefusal(error.code)) {
      return error.message.startsWith("etcdserver: ") ? { t: "alive", isGuarded: true } : { t: "alive" };
    }
    return toFailure(error, signal);
  }
}

/** Whether a call is one of the looks below and above, which say nothing of how work fares. */
export function isLook(call: Pick<ClientCall, "metadata">): boolean {
  return call.metadata === ofLooks;
}

/**
 * Asks for a serializable read over a channel in use: alive is who reads from its own store, or says that it may not tell
 * us. For a member whose status was good.
 */
export async function probeRead(channel: Channel, signal: AbortSignal): Promise<ProbeResult> {
  try {
    await channel.unaryCall("/etcdserverpb.KV/Range", ofLooks, anyReadBytes, { signal });
    return { t: "alive" };
  } catch (error) {
    if (error instanceof CallError && isRefusal(error.code)) return { t: "alive" };
    return toFailure(error, signal);
  }
}
