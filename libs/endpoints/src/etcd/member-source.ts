import { Cluster, type Member, type MemberListResponse, toGrpcJsService } from "@etcd-edge/proto";
import { type Clock, systemClock } from "@etcd-edge/runtime";
import type { Endpoint } from "../endpoint.ts";
import { type EndpointSet, type EndpointSource, uniqueEndpoints } from "../endpoint-set.ts";
import type { TlsMaterial } from "../health/connect.ts";
import { parseEndpoint } from "../parse-endpoints.ts";
import type { RandomSource } from "../picker.ts";
import {
  createRefreshingSource,
  type LoadedEndpoints,
  type RefreshingSource,
  type RefreshOutcome,
} from "../sources/refreshing-source.ts";
import { callEtcd } from "./etcd-call.ts";

export type MemberSourceOptions = {
  /** Whom to ask until members are known, and again when no member answers. Not disposed by this source. */
  readonly seeds: EndpointSource;
  readonly tls?: TlsMaterial;
  /** How one member is asked. Default: over a grpc-js connection of its own, with `tls`. */
  readonly listMembers?: (endpoint: Endpoint, signal: AbortSignal) => Promise<MemberListResponse>;
  /** Pause between two member lists. Default 30,000. */
  readonly intervalMs?: number;
  /** For one answer. Default 5000, as the Go client's auto-sync. */
  readonly timeoutMs?: number;
  readonly onOutcome?: (outcome: RefreshOutcome) => void;
  /** A member of another cluster answered and was not believed. */
  readonly onForeignCluster?: (endpoint: Endpoint, clusterId: bigint, pinned: bigint) => void;
  readonly clock?: Clock;
  readonly random?: RandomSource;
};

export type MemberSource = RefreshingSource & {
  /** The cluster whose members these are; undefined until one answered. */
  clusterId(): bigint | undefined;
  /** Peer URLs of all members at the last answer, those not started included: what `_etcd-server` records say. */
  peers(): readonly Endpoint[];
};

/** So long nobody of the pinned cluster must have answered before another cluster is taken for its successor. */
const repinAfterMs = 30_000;

const memberList = toGrpcJsService(Cluster).memberList;

/**
 * The client URLs of a cluster's voting members, asked again and again (MemberList). Members without a name have not
 * started yet, learners refuse most requests: both are left out. The first answer pins the cluster id.
 */
export function createMemberSource(options: MemberSourceOptions): MemberSource {
  const { seeds, tls = {}, intervalMs = 30_000, timeoutMs = 5_000, clock = systemClock } = options;
  const {
    listMembers = (endpoint, signal) =>
      callEtcd(endpoint, memberList, { linearizable: true }, { tls, signal }),
  } = options;
  let peers: readonly Endpoint[] = [];
  let pinned: { readonly clusterId: bigint; readonly seenAtMs: number } | undefined;

  const ask = async (endpoint: Endpoint, signal: AbortSignal): Promise<readonly Endpoint[]> => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const { header, members } = await listMembers(endpoint, limit);
    const clusterId = header?.clusterId ?? 0n; // an etcd grpc-proxy answers without one: nothing to compare
    if (pinned !== undefined && clusterId !== 0n && clusterId !== pinned.clusterId) {
      if (clock.nowMs() - pinned.seenAtMs < repinAfterMs) {
        options.onForeignCluster?.(endpoint, clusterId, pinned.clusterId);
        throw new Error(
          `cluster ${clusterId.toString(16)} answered instead of ${pinned.clusterId.toString(16)}`,
        );
      }
    }
    if (clusterId !== 0n) pinned = { clusterId, seenAtMs: clock.nowMs() };
    peers = members.flatMap(({ name, peerURLs }) => parseUrls(peerURLs, name));
    return members.flatMap(toClientEndpoints);
  };

  const load = async (current: EndpointSet, signal: AbortSignal): Promise<LoadedEndpoints> => {
    const errors: unknown[] = [];
    for (const endpoint of uniqueEndpoints([...current.endpoints, ...seeds.current().endpoints])) {
      try {
        return { endpoints: await ask(endpoint, signal), refreshInMs: intervalMs };
      } catch (error) {
        signal.throwIfAborted();
        errors.push(error);
      }
    }
    throw new AggregateError(errors, "no endpoint told the member list");
  };

  const { random } = options;
  const source = createRefreshingSource({ load, onOutcome: options.onOutcome, clock, random });
  const unsubscribe = seeds.subscribe(() => source.refresh());
  return {
    ...source,
    clusterId: () => pinned?.clusterId,
    peers: () => peers,
    [Symbol.asyncDispose]() {
      unsubscribe();
      return source[Symbol.asyncDispose]();
    },
  };
}

function toClientEndpoints({ name, isLearner, clientURLs }: Member): Endpoint[] {
  return name === "" || isLearner ? [] : parseUrls(clientURLs, name);
}

function parseUrls(urls: readonly string[], name: string): Endpoint[] {
  return urls
    .map(parseEndpoint)
    .filter((endpoint) => typeof endpoint !== "string")
    .map((endpoint) => (name === "" ? endpoint : { ...endpoint, name }));
}
