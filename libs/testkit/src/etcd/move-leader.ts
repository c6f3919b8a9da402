import type { EtcdCluster } from "./etcd-cluster.ts";
import type { EtcdMember } from "./etcd-member.ts";

/**
 * Makes `member` the leader, if it is not, and returns once it says so itself. What is sent to a leader that a test is
 * about to remove or to kill is lost without an answer, by etcd, until its followers have elected another.
 *
 * @throws the error of etcdctl
 */
export async function moveLeader(cluster: EtcdCluster, member: EtcdMember): Promise<void> {
  const wanted = await statusOf(cluster, member);
  if (wanted.leader === wanted.memberId) return;
  await cluster.etcdctl(["move-leader", wanted.memberId.toString(16)]);
}

interface MemberStatus {
  readonly memberId: bigint;
  /** 0 while there is none. */
  readonly leader: bigint;
}

async function statusOf(cluster: EtcdCluster, member: EtcdMember): Promise<MemberStatus> {
  const { stdout } = await cluster.etcdctl(["endpoint", "status", "-w", "json"], [member.clientAddress]);
  // By text, for JSON.parse would round 64-bit ids.
  const field = (name: string) => BigInt(new RegExp(`"${name}":(\\d+)`).exec(stdout)?.[1] ?? 0);
  return { memberId: field("member_id"), leader: field("leader") };
}
