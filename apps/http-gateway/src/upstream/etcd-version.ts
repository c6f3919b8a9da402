import {
  create,
  fromBinary,
  rpcOf,
  StatusRequestSchema,
  StatusResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import { ClientPresence } from "../http/client-presence.ts";
import { type Upstream, UpstreamError } from "./upstream.ts";

/** Time that the question may take. */
const timeoutMs = 2_000;

/** The version that the upstream's Maintenance.Status names; nothing where it does not answer or will not tell. */
export async function askEtcdVersion(upstream: Upstream): Promise<string | undefined> {
  const request = toBinary(StatusRequestSchema, create(StatusRequestSchema));
  try {
    const { message } = await upstream.unary(
      {
        rpc: rpcOf("/etcdserverpb.Maintenance/Status"),
        metadata: [],
        timeoutMs,
        presence: ClientPresence.until(AbortSignal.timeout(timeoutMs)),
      },
      request,
    );
    return fromBinary(StatusResponseSchema, message).version;
  } catch (error) {
    if (error instanceof UpstreamError) return undefined;
    throw error;
  }
}
