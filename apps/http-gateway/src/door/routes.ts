import { type Rpc, rpcs } from "@etcd-edge/proto";

const byPath: ReadonlyMap<string, Rpc> = new Map(
  rpcs.flatMap((rpc) => rpc.http.map((route) => [route.path, rpc] as const)),
);

/**
 * The RPC behind a path of the JSON door. Paths of every release are served whatever the upstream is: what an older
 * etcd does not know it says itself.
 */
export function findRoute(path: string): Rpc | undefined {
  return byPath.get(path);
}
