import type { RpcPath } from "@etcd-edge/proto";
import type { LeaseChange } from "./lease/forget-course.ts";

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
  /** What answers it in this process, where there is such an answer; etcd is not asked. */
  readonly local?: LocalAnswerName;
  /** Which member it goes to, where not to the next in turn. */
  readonly member?: MemberChoice;
  /** What it is to the lease book: answered by it, or a reason to forget a lease. */
  readonly lease?: "keepAlive" | LeaseChange;
  /** Under `--experimental-serializable-ordering`, the revisions that its answers show are remembered, and none is lower. */
  readonly ordered?: true;
  /** Calls of many clients are one call of ours: watches hang on shared feeds, linearizable reads share flights. */
  readonly shared?: "watch" | "read" | "readStream";
  /** What etcd is given a bounded amount of at once: reads, by their size, or writes. */
  readonly work?: "range" | "write";
  /** What its answer gives that is remembered: whose token is whose. */
  readonly gives?: "token";
  /** Once it is done, what is below its revision is gone. */
  readonly compacts?: true;
  /** What stands in for it where etcd lacks it. */
  readonly emulated?: "pages";
}

/**
 * - `pinned`: what concerns one member: it stays the same for a client's connection while that member is healthy.
 * - `leader`: what the leader alone can do.
 */
type MemberChoice = "pinned" | "leader";

/** Answers that need no etcd: the proxies themselves as members of the cluster. */
export type LocalAnswerName = "memberList";

/**
 * Every RPC of the schema, once. The type is exhaustive: an RPC that the schema gains and this table lacks does not
 * compile.
 */
export const rpcTable: Readonly<Record<RpcPath, RpcTreatment>> = {
  "/etcdserverpb.KV/Range": { keys: "data", ordered: true, work: "range", shared: "read" },
  "/etcdserverpb.KV/RangeStream": {
    keys: "data",
    ordered: true,
    work: "range",
    shared: "readStream",
    emulated: "pages",
  },
  "/etcdserverpb.KV/Put": { keys: "data", ordered: true, work: "write" },
  "/etcdserverpb.KV/DeleteRange": { keys: "data", ordered: true, work: "write" },
  "/etcdserverpb.KV/Txn": { keys: "data", ordered: true, work: "write" },
  "/etcdserverpb.KV/Compact": { keys: "wide", ordered: true, work: "write", compacts: true },
  "/etcdserverpb.Watch/Watch": { keys: "data", ordered: true, shared: "watch" },
  "/etcdserverpb.Lease/LeaseGrant": { keys: "none", lease: "grant" },
  "/etcdserverpb.Lease/LeaseRevoke": { keys: "none", lease: "revoke" },
  "/etcdserverpb.Lease/LeaseKeepAlive": { keys: "none", lease: "keepAlive" },
  "/etcdserverpb.Lease/LeaseTimeToLive": { keys: "data", lease: "timeToLive" },
  "/etcdserverpb.Lease/LeaseLeases": { keys: "none" },
  "/etcdserverpb.Cluster/MemberAdd": { keys: "wide" },
  "/etcdserverpb.Cluster/MemberRemove": { keys: "wide" },
  "/etcdserverpb.Cluster/MemberUpdate": { keys: "wide" },
  "/etcdserverpb.Cluster/MemberList": { keys: "none", local: "memberList" },
  "/etcdserverpb.Cluster/MemberPromote": { keys: "wide" },
  "/etcdserverpb.Maintenance/Alarm": { keys: "wide", member: "pinned" },
  "/etcdserverpb.Maintenance/Status": { keys: "none", member: "pinned" },
  "/etcdserverpb.Maintenance/Defragment": { keys: "wide", member: "pinned" },
  "/etcdserverpb.Maintenance/Hash": { keys: "wide", member: "pinned" },
  "/etcdserverpb.Maintenance/HashKV": { keys: "wide", member: "pinned" },
  "/etcdserverpb.Maintenance/Snapshot": { keys: "wide", member: "pinned" },
  "/etcdserverpb.Maintenance/MoveLeader": { keys: "wide", member: "leader" },
  "/etcdserverpb.Maintenance/Downgrade": { keys: "wide" },
  "/etcdserverpb.Auth/AuthEnable": { keys: "wide" },
  "/etcdserverpb.Auth/AuthDisable": { keys: "wide" },
  "/etcdserverpb.Auth/AuthStatus": { keys: "none" },
  "/etcdserverpb.Auth/Authenticate": { keys: "none", gives: "token" },
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
