import { rpcs } from "@etcd-edge/proto";
import { StatusCode } from "@etcd-edge/transport";
import type { CallTransform, FindTransform } from "../relay/call-transform.ts";
import { createRequestChecks } from "../relay/lethal-requests.ts";
import { rpcTable } from "../rpc-table.ts";
import { createNamespace } from "./namespace.ts";
import { createScoping, type NamespacePolicy } from "./scoping.ts";

/**
 * What is done to the messages of each RPC, made once: lethal requests are refused, and keys are scoped under
 * `--namespace`. An RPC that the schema does not know cannot be scoped and is refused while there is a namespace.
 */
export function createTransforms(
  prefix: string,
  policy: NamespacePolicy,
  survivesAlarmNone: () => boolean = () => false,
): FindTransform {
  const checks = createRequestChecks(survivesAlarmNone);
  const namespace = prefix === "" ? undefined : createNamespace(Buffer.from(prefix));
  const byPath = new Map<string, CallTransform | undefined>();
  for (const rpc of rpcs) {
    const scoping =
      namespace === undefined ? undefined : createScoping(rpc, rpcTable[rpc.path], namespace, policy);
    const check = checks[rpc.path];
    byPath.set(rpc.path, check === undefined ? scoping : { ...(scoping ?? untouched), check });
  }
  if (namespace === undefined) return (path) => byPath.get(path);
  return (path) => (byPath.has(path) ? byPath.get(path) : refuseUnknown(path));
}

const untouched: CallTransform = { request: (payload) => payload, response: (payload) => payload };

function refuseUnknown(path: string): CallTransform {
  const message = `${path} is not known to this proxy and cannot be kept inside its namespace`;
  return { ...untouched, refusal: { code: StatusCode.unimplemented, message } };
}
