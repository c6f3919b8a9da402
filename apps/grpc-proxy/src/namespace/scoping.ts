import {
  dataKeyRoles,
  type KeyRewriting,
  lockKeyRoles,
  type MessagePlan,
  planMessage,
  type Rpc,
  rewriteKeys,
  toCanonical,
} from "@etcd-edge/proto";
import { StatusCode } from "@etcd-edge/transport";
import type { CallTransform, Refusal } from "../relay/call-transform.ts";
import type { RpcTreatment } from "../rpc-table.ts";
import type { Namespace } from "./namespace.ts";

/** What happens to RPCs that etcd's proxy lets out of the namespace: see `KeyScope`. */
export type NamespacePolicy = "compatible" | "strict";

/**
 * Makes the transform of an RPC under a namespace.
 * @returns nothing where its bytes pass untouched
 */
export function createScoping(
  rpc: Rpc,
  treatment: RpcTreatment,
  namespace: Namespace,
  policy: NamespacePolicy,
): CallTransform | undefined {
  switch (treatment.keys) {
    case "none":
      return undefined;
    case "wide":
      return policy === "strict" ? refuseAll(rpc) : undefined;
    case "lock":
      return policy === "strict" ? scopeCall(rpc, namespace, lockKeyRoles) : undefined;
    case "data":
      return scopeCall(rpc, namespace, dataKeyRoles);
    default:
      return treatment.keys satisfies never;
  }
}

function scopeCall(rpc: Rpc, namespace: Namespace, roles: typeof dataKeyRoles): CallTransform {
  return {
    request: rewriteWith(planMessage(rpc.input, roles), namespace.scope),
    response: rewriteWith(planMessage(rpc.output, roles), namespace.unscope),
  };
}

function rewriteWith(
  plan: MessagePlan | undefined,
  rewriting: KeyRewriting,
): (payload: Uint8Array) => Uint8Array {
  if (plan === undefined) return (payload) => payload;
  // Canonical first (rule 7): what we scope must be what etcd reads.
  return (payload) => rewriteKeys(toCanonical(payload, plan), plan, rewriting);
}

function refuseAll(rpc: Rpc): CallTransform {
  const refusal: Refusal = {
    code: StatusCode.permissionDenied,
    message: `${rpc.service}/${rpc.method} reaches beyond the namespace of this proxy and is refused by --namespace-policy=strict`,
  };
  return { refusal, request: (payload) => payload, response: (payload) => payload };
}
