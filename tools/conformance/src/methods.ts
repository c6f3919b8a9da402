import { type GrpcJsService, KV, Lease, toGrpcJsService, Watch } from "@etcd-edge/proto";

/** The methods of etcd's services, in the shape the client takes. */
export const kv: GrpcJsService<typeof KV> = toGrpcJsService(KV);
export const watch: GrpcJsService<typeof Watch> = toGrpcJsService(Watch);
export const lease: GrpcJsService<typeof Lease> = toGrpcJsService(Lease);
