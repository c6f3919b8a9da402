import {
  createMemberSource,
  createPreferredSource,
  type Endpoint,
  type EndpointSource,
  endpointUrl,
  toChannelTarget,
} from "@etcd-edge/endpoints";
import type { MakeCall, ServiceToken } from "@etcd-edge/identity";
import { Cluster, type MemberListResponse, toGrpcJsService } from "@etcd-edge/proto";
import type { ClientTls, Logger } from "@etcd-edge/runtime";
import { Channel, NO_METADATA, type RawMetadata } from "@etcd-edge/transport";

const memberList = toGrpcJsService(Cluster).memberList;

/**
 * `--endpoints-auto-sync-interval`: the client URLs of the cluster's members, asked of the members known so far and of
 * `seeds`; the seeds themselves until somebody answered. New addresses show in the log. Does not dispose of the seeds.
 * With auth on, etcd from 3.5 on tells members to users only: `token` is the proxy's own.
 */
export function followMembers(options: {
  seeds: EndpointSource;
  intervalMs: number;
  tls: ClientTls | undefined;
  token: ServiceToken | undefined;
  logger: Logger;
}): EndpointSource {
  const { seeds, intervalMs, tls, token, logger } = options;
  const members = createMemberSource({
    seeds,
    intervalMs,
    listMembers: (endpoint, signal) => listMembers(endpoint, { tls, token, signal }),
    onOutcome: (outcome) => {
      if (outcome.t === "failed") {
        logger.warn("failed to get the member list", { error: textOf(outcome.error) });
      } else if (outcome.isChanged) {
        logger.info("endpoints changed by the member list", {
          endpoints: outcome.set.endpoints.map(endpointUrl),
        });
      }
    },
    onForeignCluster: (endpoint, clusterId, pinned) =>
      logger.warn("ignored an endpoint of another cluster", {
        endpoint: endpointUrl(endpoint),
        "cluster-id": clusterId.toString(16),
        "pinned-cluster-id": pinned.toString(16),
      }),
  });
  const source = createPreferredSource(members, seeds);
  return {
    ...source,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await members[Symbol.asyncDispose]();
    },
  };
}

/**
 * Over a channel of its own, dialled as clients' calls are. Not the balancer's, which follows what we answer; not
 * grpc-js, which knows neither `--insecure-skip-tls-verify` nor endpoints whose scheme the TLS flags decide.
 */
async function listMembers(
  endpoint: Endpoint,
  options: { tls: ClientTls | undefined; token: ServiceToken | undefined; signal: AbortSignal },
): Promise<MemberListResponse> {
  const { tls, token, signal } = options;
  const channel = new Channel(toChannelTarget(endpoint, tls));
  try {
    const call: MakeCall = async (path, metadata, payload) =>
      (await channel.unaryCall(path, metadata, payload, { signal })).payload;
    const request = memberList.requestSerialize({ linearizable: true });
    const ask = (metadata: RawMetadata): Promise<Buffer> => call(memberList.path, metadata, request);
    return memberList.responseDeserialize(
      await (token === undefined ? ask(NO_METADATA) : token.call(call, ask)),
    );
  } finally {
    channel.destroy();
  }
}

function textOf(error: unknown): string {
  const errors = error instanceof AggregateError ? [error.message, ...error.errors.map(textOf)] : [error];
  return errors.map((one) => (one instanceof Error ? one.message : String(one))).join(": ");
}
