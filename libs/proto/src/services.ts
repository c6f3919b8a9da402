import { Auth } from "./gen/etcdserverpb/auth_pb.ts";
import { Cluster } from "./gen/etcdserverpb/cluster_pb.ts";
import { KV } from "./gen/etcdserverpb/kv_pb.ts";
import { Lease } from "./gen/etcdserverpb/lease_pb.ts";
import { Maintenance } from "./gen/etcdserverpb/maintenance_pb.ts";
import { Watch } from "./gen/etcdserverpb/watch_pb.ts";
import { Health } from "./gen/grpc/health/v1/health_pb.ts";
import { Election } from "./gen/v3electionpb/v3election_pb.ts";
import { Lock } from "./gen/v3lockpb/v3lock_pb.ts";

/** Every service that an etcd member answers on its client port, by full name. */
export const services: {
  readonly "etcdserverpb.KV": typeof KV;
  readonly "etcdserverpb.Watch": typeof Watch;
  readonly "etcdserverpb.Lease": typeof Lease;
  readonly "etcdserverpb.Cluster": typeof Cluster;
  readonly "etcdserverpb.Maintenance": typeof Maintenance;
  readonly "etcdserverpb.Auth": typeof Auth;
  readonly "v3lockpb.Lock": typeof Lock;
  readonly "v3electionpb.Election": typeof Election;
  readonly "grpc.health.v1.Health": typeof Health;
} = {
  "etcdserverpb.KV": KV,
  "etcdserverpb.Watch": Watch,
  "etcdserverpb.Lease": Lease,
  "etcdserverpb.Cluster": Cluster,
  "etcdserverpb.Maintenance": Maintenance,
  "etcdserverpb.Auth": Auth,
  "v3lockpb.Lock": Lock,
  "v3electionpb.Election": Election,
  "grpc.health.v1.Health": Health,
};

export type ServiceName = keyof typeof services;

/**
 * The `:path` of every RPC, as a union of literals. A `Record<RpcPath, Handler>` stops compiling when the schema
 * gains an RPC that has no handler.
 */
export type RpcPath = {
  [S in ServiceName]: `/${S}/${Capitalize<Extract<keyof (typeof services)[S]["method"], string>>}`;
}[ServiceName];
