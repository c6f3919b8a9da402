import { type DescMessage, type DescMethod, getOption } from "@bufbuild/protobuf";
import { method as methodNote } from "./gen/edge/schema_pb.ts";
import { type RpcPath, type ServiceName, services } from "./services.ts";
import { latest, parseSchemaVersion, type SchemaVersion, sinceOf } from "./since.ts";

/** How many messages go each way. etcd has no RPC where only the client streams. */
export type RpcKind = "unary" | "serverStream" | "bidi";

/** A path of the JSON door, always by POST. */
export interface HttpRoute {
  /** As etcd spells it today, e.g. `/v3/kv/range`. */
  readonly path: string;
  /** First minor release that serves the path; may be later than the RPC's own. */
  readonly since: SchemaVersion;
}

/** What routing, metrics, logs and documentation need to know of one RPC. */
export interface Rpc {
  /** The `:path` of the gRPC call, e.g. `/etcdserverpb.KV/Range`. */
  readonly path: RpcPath;
  readonly service: ServiceName;
  /** Method name as in the schema, e.g. `Range`. */
  readonly method: string;
  readonly kind: RpcKind;
  readonly since: SchemaVersion;
  /** Main path first; empty for an RPC that the JSON door does not offer. */
  readonly http: readonly HttpRoute[];
  readonly input: DescMessage;
  readonly output: DescMessage;
}

/** Every RPC of {@link services}, in the order of the schema. */
export const rpcs: readonly Rpc[] = Object.entries(services).flatMap(([name, service]) =>
  service.methods.map((method) => toRpc(name as ServiceName, method)),
);

const byPath: ReadonlyMap<string, Rpc> = new Map(rpcs.map((rpc) => [rpc.path, rpc]));

/** The RPC behind a `:path` as it came from the network, or `undefined` if etcd has none of that name. */
export function findRpc(path: string): Rpc | undefined {
  return byPath.get(path);
}

/** The RPC of a path that the schema is known to have. */
export function rpcOf(path: RpcPath): Rpc {
  const rpc = byPath.get(path);
  if (rpc === undefined) throw new Error(`the schema has no ${path}`);
  return rpc;
}

function toRpc(service: ServiceName, method: DescMethod): Rpc {
  const note = getOption(method, methodNote);
  const since = sinceOf(method);
  return {
    // The type is made of the same two names; schema.test.ts compares both.
    path: `/${service}/${method.name}` as RpcPath,
    service,
    method: method.name,
    kind: toKind(method),
    since,
    http: note.http.map((route) => ({
      path: route.path,
      since: latest(since, parseSchemaVersion(route.since)),
    })),
    input: method.input,
    output: method.output,
  };
}

function toKind(method: DescMethod): RpcKind {
  switch (method.methodKind) {
    case "unary":
      return "unary";
    case "server_streaming":
      return "serverStream";
    case "bidi_streaming":
      return "bidi";
    case "client_streaming":
      throw new Error(`${method.name}: no etcd RPC has a client stream alone`);
  }
}
