import { rpcs } from "@etcd-edge/proto";
import { StatusCode } from "@etcd-edge/transport";
import type { CallTransform, FindTransform } from "../relay/call-transform.ts";
import { rpcTable } from "../rpc-table.ts";
import { createNamespace } from "./namespace.ts";
import { createScoping, type NamespacePolicy } from "./scoping.ts";

/**
 * The transforms of all RPCs under `--namespace`, made once. Without a namespace no call is transformed. An RPC that the
 * schema does not know cannot be scoped and is refused while there is a namespace.
 */
export function createTransforms(prefix: string, policy: NamespacePolicy): FindTransform {
  if (prefix === "") return () => undefined;
  const namespace = createNamespace(Buffer.from(prefix));
  const byPath = new Map<string, CallTransform | undefined>();
  for (const rpc of rpcs) byPath.set(rpc.path, createScoping(rpc, rpcTable[rpc.path], namespace, policy));
  return (path) => (byPath.has(path) ? byPath.get(path) : refuseUnknown(path));
}

function refuseUnknown(path: string): CallTransform {
  const message = `${path} is not known to this proxy and cannot be kept inside its namespace`;
  return {
    refusal: { code: StatusCode.unimplemented, message },
    request: (payload) => payload,
    response: (payload) => payload,
  };
}
