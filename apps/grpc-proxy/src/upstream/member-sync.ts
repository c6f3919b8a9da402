import {
  createMemberSource,
  createPreferredSource,
  type Endpoint,
  type EndpointSource,
  endpointUrl,
  toChannelTarget,
} from "@etcd-edge/endpoints";
import { Cluster, type MemberListResponse, toGrpcJsService } from "@etcd-edge/proto";
import type { ClientTls, Logger } from "@etcd-edge/runtime";
import { Channel, NO_METADATA } from "@etcd-edge/transport";

const memberList = toGrpcJsService(Cluster).memberList;

/**
 * `--endpoints-auto-sync-interval`: the client URLs of the cluster's members, asked of the members known so far and of
 * `seeds`; the seeds themselves until somebody answered. New addresses show in the log. Does not dispose of the seeds.
 */
export function followMembers(options: {
  seeds: EndpointSource;
  intervalMs: number;
  tls: ClientTls | undefined;
  logger: Logger;
}): EndpointSource {
  const { seeds, intervalMs, tls, logger } = options;
  const members = createMemberSource({
    seeds,
    intervalMs,
    listMembers: (endpoint, signal) => listMembers(endpoint, tls, signal),
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
  tls: ClientTls | undefined,
  signal: AbortSignal,
): Promise<MemberListResponse> {
  const channel = new Channel(toChannelTarget(endpoint, tls));
  try {
    const request = memberList.requestSerialize({ linearizable: true });
    const { payload } = await channel.unaryCall(memberList.path, NO_METADATA, request, { signal });
    return memberList.responseDeserialize(payload);
  } finally {
    channel.destroy();
  }
}

function textOf(error: unknown): string {
  const errors = error instanceof AggregateError ? [error.message, ...error.errors.map(textOf)] : [error];
  return errors.map((one) => (one instanceof Error ? one.message : String(one))).join(": ");
}
