import type { RpcPath } from "@etcd-edge/proto";

/**
 * What a namespace means to an RPC.
 * - `data`: its keys are scoped, always.
 * - `lock`: its names and keys are scoped under the policy `strict`; under `compatible` they are untouched, as in etcd's
 *   proxy.
 * - `wide`: it shows or changes more than one namespace and cannot be scoped: refused by name under `strict`, passed
 *   under `compatible`.
 * - `none`: it has nothing to do with keys.
 */
type KeyScope = "data" | "lock" | "wide" | "none";

/** How the proxy treats one RPC. Everything is passed on as bytes but for what stands here. */
export interface RpcTreatment {
  readonly keys: KeyScope;
}

/**
 * Every RPC of the schema, once. The type is exhaustive: an RPC that the schema gains and this table lacks does not
 * compile.
 */
export const rpcTable: Readonly<Record<RpcPath, RpcTreatment>> = {
  "/etcdserverpb.KV/Range": { keys: "data" },
  "/etcdserverpb.KV/RangeStream": { keys: "data" },
  "/etcdserverpb.KV/Put": { keys: "data" },
  "/etcdserverpb.KV/DeleteRange": { keys: "data" },
  "/etcdserverpb.KV/Txn": { keys: "data" },
  "/etcdserverpb.KV/Compact": { keys: "wide" },
  "/etcdserverpb.Watch/Watch": { keys: "data" },
  "/etcdserverpb.Lease/LeaseGrant": { keys: "none" },
  "/etcdserverpb.Lease/LeaseRevoke": { keys: "none" },
  "/etcdserverpb.Lease/LeaseKeepAlive": { keys: "none" },
  "/etcdserverpb.Lease/LeaseTimeToLive": { keys: "data" },
  "/etcdserverpb.Lease/LeaseLeases": { keys: "none" },
  "/etcdserverpb.Cluster/MemberAdd": { keys: "wide" },
  "/etcdserverpb.Cluster/MemberRemove": { keys: "wide" },
  "/etcdserverpb.Cluster/MemberUpdate": { keys: "wide" },
  "/etcdserverpb.Cluster/MemberList": { keys: "none" },
  "/etcdserverpb.Cluster/MemberPromote": { keys: "wide" },
  "/etcdserverpb.Maintenance/Alarm": { keys: "wide" },
  "/etcdserverpb.Maintenance/Status": { keys: "none" },
  "/etcdserverpb.Maintenance/Defragment": { keys: "wide" },
  "/etcdserverpb.Maintenance/Hash": { keys: "wide" },
  "/etcdserverpb.Maintenance/HashKV": { keys: "wide" },
  "/etcdserverpb.Maintenance/Snapshot": { keys: "wide" },
  "/etcdserverpb.Maintenance/MoveLeader": { keys: "wide" },
  "/etcdserverpb.Maintenance/Downgrade": { keys: "wide" },
  "/etcdserverpb.Auth/AuthEnable": { keys: "wide" },
  "/etcdserverpb.Auth/AuthDisable": { keys: "wide" },
  "/etcdserverpb.Auth/AuthStatus": { keys: "none" },
  "/etcdserverpb.Auth/Authenticate": { keys: "none" },
  "/etcdserverpb.Auth/UserAdd": { keys: "wide" },
  "/etcdserverpb.Auth/UserGet": { keys: "wide" },
  "/etcdserverpb.Auth/UserList": { keys: "wide" },
  "/etcdserverpb.Auth/UserDelete": { keys: "wide" },
  "/etcdserverpb.Auth/UserChangePassword": { keys: "wide" },
  "/etcdserverpb.Auth/UserGrantRole": { keys: "wide" },
  "/etcdserverpb.Auth/UserRevokeRole": { keys: "wide" },
  "/etcdserverpb.Auth/RoleAdd": { keys: "wide" },
  "/etcdserverpb.Auth/RoleGet": { keys: "wide" },
  "/etcdserverpb.Auth/RoleList": { keys: "wide" },
  "/etcdserverpb.Auth/RoleDelete": { keys: "wide" },
  "/etcdserverpb.Auth/RoleGrantPermission": { keys: "wide" },
  "/etcdserverpb.Auth/RoleRevokePermission": { keys: "wide" },
  "/v3lockpb.Lock/Lock": { keys: "lock" },
  "/v3lockpb.Lock/Unlock": { keys: "lock" },
  "/v3electionpb.Election/Campaign": { keys: "lock" },
  "/v3electionpb.Election/Proclaim": { keys: "lock" },
  "/v3electionpb.Election/Leader": { keys: "lock" },
  "/v3electionpb.Election/Observe": { keys: "lock" },
  "/v3electionpb.Election/Resign": { keys: "lock" },
  "/grpc.health.v1.Health/Check": { keys: "none" },
  "/grpc.health.v1.Health/Watch": { keys: "none" },
};
