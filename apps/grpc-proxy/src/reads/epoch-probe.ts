import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { MakeCall, ServiceCredential } from "@etcd-edge/identity";
import {
  create,
  type HeaderView,
  RangeRequestSchema,
  type RpcPath,
  readResponseHeader,
  toBinary,
} from "@etcd-edge/proto";

const rangePath: RpcPath = "/etcdserverpb.KV/Range";
const timeoutMs = 5_000;
const request = toBinary(
  RangeRequestSchema,
  create(RangeRequestSchema, { key: Uint8Array.of(0), countOnly: true, limit: 1n }),
);

/**
 * Asks a quorum how far the store is, in the proxy's own name: as its own user, or as nobody. Where etcd has users
 * and we are none it rejects, and what rests on it (the store that replicas share) is not used.
 * @param balancer of connections that carry no client's call, if there is such a user (rule 8)
 */
export function createEpochProbe(
  balancer: ChannelBalancer,
  own: ServiceCredential | undefined,
): () => Promise<HeaderView> {
  return async () => {
    const upstream = balancer.pick();
    if (upstream === undefined) throw new Error("no etcd endpoint is available");
    const call: MakeCall = async (path, metadata, payload) => {
      const deadlineAt = performance.now() + timeoutMs;
      return (await upstream.calls.unaryCall(path, metadata, payload, { deadlineAt })).payload;
    };
    const answer =
      own === undefined
        ? await call(rangePath, [], request)
        : await own.call(call, (metadata) => call(rangePath, metadata, request));
    return readResponseHeader(answer);
  };
}
