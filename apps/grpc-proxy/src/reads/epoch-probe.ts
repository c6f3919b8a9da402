import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { MakeCall, ServiceToken } from "@etcd-edge/identity";
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
 * Asks a quorum how far the store is, in the proxy's own name: with the token of `--user`, or without any. Where etcd has users
 * and there is no such token it rejects, and what rests on it (the store that replicas share) is not used.
 * @param balancer of connections that carry no client's call, if there is a token (rule 8)
 */
export function createEpochProbe(
  balancer: ChannelBalancer,
  token: ServiceToken | undefined,
): () => Promise<HeaderView> {
  return async () => {
    const upstream = balancer.pick();
    if (upstream === undefined) throw new Error("no etcd endpoint is available");
    const call: MakeCall = async (path, metadata, payload) => {
      const deadlineAt = performance.now() + timeoutMs;
      return (await upstream.calls.unaryCall(path, metadata, payload, { deadlineAt })).payload;
    };
    const answer =
      token === undefined
        ? await call(rangePath, [], request)
        : await token.call(call, (metadata) => call(rangePath, metadata, request));
    return readResponseHeader(answer);
  };
}
