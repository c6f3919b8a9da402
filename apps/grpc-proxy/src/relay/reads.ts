import type { Rpc } from "@etcd-edge/proto";

/** RPCs that change nothing, so that waiting for an upstream cannot surprise anybody (rule 42). */
const reads: ReadonlySet<string> = new Set([
  "/etcdserverpb.KV/Range",
  "/etcdserverpb.Lease/LeaseTimeToLive",
  "/etcdserverpb.Lease/LeaseLeases",
  "/etcdserverpb.Cluster/MemberList",
  "/etcdserverpb.Maintenance/Status",
  "/etcdserverpb.Maintenance/Hash",
  "/etcdserverpb.Maintenance/HashKV",
  "/etcdserverpb.Auth/AuthStatus",
  "/etcdserverpb.Auth/UserGet",
  "/etcdserverpb.Auth/UserList",
  "/etcdserverpb.Auth/RoleGet",
  "/etcdserverpb.Auth/RoleList",
  "/v3electionpb.Election/Leader",
]);

export function isRead(rpc: Rpc): boolean {
  return reads.has(rpc.path);
}
