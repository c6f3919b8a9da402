import {
  Auth,
  Cluster,
  Election,
  type GrpcJsService,
  KV,
  Lease,
  Lock,
  Maintenance,
  toGrpcJsService,
  Watch,
} from "@etcd-edge/proto";

/** Every method of etcd's services, in the shape the client takes. */
export const kv: GrpcJsService<typeof KV> = toGrpcJsService(KV);
export const watch: GrpcJsService<typeof Watch> = toGrpcJsService(Watch);
export const lease: GrpcJsService<typeof Lease> = toGrpcJsService(Lease);
export const cluster: GrpcJsService<typeof Cluster> = toGrpcJsService(Cluster);
export const maintenance: GrpcJsService<typeof Maintenance> = toGrpcJsService(Maintenance);
export const auth: GrpcJsService<typeof Auth> = toGrpcJsService(Auth);
export const election: GrpcJsService<typeof Election> = toGrpcJsService(Election);
export const lock: GrpcJsService<typeof Lock> = toGrpcJsService(Lock);
