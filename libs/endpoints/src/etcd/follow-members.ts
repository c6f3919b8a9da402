import { Cluster, type MemberListResponse, toGrpcJsService } from "@etcd-edge/proto";
import type { ClientTls, Logger } from "@etcd-edge/runtime";
import { Channel, NO_METADATA, type RawMetadata } from "@etcd-edge/transport";
import { toChannelTarget } from "../channels/channel-options.ts";
import { type Endpoint, endpointUrl } from "../endpoint.ts";
import type { EndpointSource } from "../endpoint-set.ts";
import { createPreferredSource } from "../sources/preferred-source.ts";
import { createMemberSource } from "./member-source.ts";

const memberList = toGrpcJsService(Cluster).memberList;

type MakeCall = (path: string, metadata: RawMetadata, payload: Uint8Array) => Promise<Buffer>;

/** In whose name a call is made: the `ServiceCredential` of `@etcd-edge/identity` fits. */
export interface CallsAsUser {
  /** @param call makes any call, for what has to be asked first @param use makes the call itself, with its metadata */
  call<T>(call: MakeCall, use: (metadata: RawMetadata) => Promise<T>): Promise<T>;
}

export interface FollowMembersOptions {
  /** Asked until members are known, and when none of these answers. Not disposed of. */
  readonly seeds: EndpointSource;
  readonly intervalMs: number;
  readonly tls: ClientTls | undefined;
  /** With auth on, etcd from 3.5 on tells members to users only. */
  readonly user: CallsAsUser | undefined;
  readonly logger: Logger;
}

/**
 * `--endpoints-auto-sync-interval`: the client URLs of the cluster's members, asked of the members known so far and of
 * `seeds`; the seeds themselves until somebody answered. New addresses show in the log. Whoever made it disposes of it.
 */
export function followMembers(options: FollowMembersOptions): EndpointSource {
  const { seeds, intervalMs, logger } = options;
  const members = createMemberSource({
    seeds,
    intervalMs,
    listMembers: createMemberLister(options),
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

/** Asks one endpoint for the members, in somebody's name. */
export function createMemberLister(
  options: Pick<FollowMembersOptions, "tls" | "user">,
): (endpoint: Endpoint, signal: AbortSignal) => Promise<MemberListResponse> {
  return (endpoint, signal) => listMembers(endpoint, options, signal);
}

/**
 * Over a channel of its own, dialled as clients' calls are. Not the balancer's, which follows what we answer; not
 * grpc-js, which knows neither `--insecure-skip-tls-verify` nor endpoints whose scheme the TLS flags decide.
 */
async function listMembers(
  endpoint: Endpoint,
  { tls, user }: Pick<FollowMembersOptions, "tls" | "user">,
  signal: AbortSignal,
): Promise<MemberListResponse> {
  const channel = new Channel(toChannelTarget(endpoint, tls));
  try {
    const call: MakeCall = async (path, metadata, payload) =>
      (await channel.unaryCall(path, metadata, payload, { signal })).payload;
    const request = memberList.requestSerialize({ linearizable: true });
    const ask = (metadata: RawMetadata): Promise<Buffer> => call(memberList.path, metadata, request);
    return memberList.responseDeserialize(
      await (user === undefined ? ask(NO_METADATA) : user.call(call, ask)),
    );
  } finally {
    channel.destroy();
  }
}

function textOf(error: unknown): string {
  const errors = error instanceof AggregateError ? [error.message, ...error.errors.map(textOf)] : [error];
  return errors.map((one) => (one instanceof Error ? one.message : String(one))).join(": ");
}
