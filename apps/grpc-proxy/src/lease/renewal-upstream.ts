import type { OpenRenewalStream, RenewalReply, RenewalScope, RenewalStreamEnd } from "@etcd-edge/coalesce";
import { type ChannelBalancer, endpointKey, type Upstream } from "@etcd-edge/endpoints";
import {
  etcdErrors,
  fromBinary,
  Lease,
  LeaseKeepAliveResponseSchema,
  toGrpcJsService,
} from "@etcd-edge/proto";
import { type Outcome, StatusCode } from "@etcd-edge/transport";

const method = toGrpcJsService(Lease).leaseKeepAlive;

/**
 * The lease book's streams, over the connections for long streams: on the leader where the last look at everybody found
 * one, else on anybody who may be picked.
 * @param resolve what etcd is shown for a credential
 */
export function createRenewalUpstream(
  balancer: ChannelBalancer,
  resolve: (credential: string | undefined) => string | undefined,
): OpenRenewalStream {
  return (scope, avoid, sink) => {
    const upstream = pick(balancer, avoid);
    if (upstream === undefined) return undefined;
    let isOver = false;
    const call = upstream.streams.open(
      method.path,
      toMetadata(resolve(scope.credential), scope.hasLeader),
      {},
      {
        onMessage: (payload) => {
          if (!isOver) sink.onReply(readReply(payload));
        },
        onEnd: (outcome) => {
          if (isOver) return;
          isOver = true;
          sink.onEnd(toEnd(outcome, scope));
        },
      },
    );
    return {
      member: endpointKey(upstream.endpoint),
      isPreferred: (avoided) => isPreferred(balancer, upstream, avoided),
      send: (leaseId) => void call.sendMessage(method.requestSerialize({ ID: leaseId })),
      cancel: () => {
        isOver = true;
        call.cancel();
      },
    };
  };
}

function pick(balancer: ChannelBalancer, avoid: ReadonlySet<string>): Upstream | undefined {
  const leader = balancer.leader();
  if (leader !== undefined && !avoid.has(endpointKey(leader.endpoint))) return leader;
  if (avoid.size === 0) return balancer.pick();
  const avoided = new Set(balancer.upstreams().filter(({ endpoint }) => avoid.has(endpointKey(endpoint))));
  const hasOther = balancer.upstreams().some((one) => balancer.isWorking(one) && !avoided.has(one));
  return balancer.pick(hasOther ? avoided : undefined);
}

function isPreferred(balancer: ChannelBalancer, upstream: Upstream, avoid: ReadonlySet<string>): boolean {
  const leader = balancer.leader();
  if (leader === upstream) return true;
  if (leader !== undefined && !avoid.has(endpointKey(leader.endpoint))) return false;
  return balancer.isWorking(upstream);
}

function toMetadata(credential: string | undefined, hasLeader: boolean): string[] {
  return [
    ...(credential === undefined ? [] : ["token", credential]),
    ...(hasLeader ? ["hasleader", "true"] : []),
  ];
}

function readReply(payload: Uint8Array): RenewalReply {
  const { ID, TTL } = fromBinary(LeaseKeepAliveResponseSchema, payload);
  return { leaseId: ID, ttlSeconds: Number(TTL), payload };
}

/** Errors of etcd's that speak of the member and not of the lease at the head of the stream. */
const aboutMember: ReadonlySet<string> = new Set([
  etcdErrors.stopped.message,
  etcdErrors.leaderChanged.message,
]);

function toEnd(
  { code, message, metadata, progress }: Outcome,
  { hasLeader }: RenewalScope,
): RenewalStreamEnd {
  const failure = { code, message, metadata };
  if (code === StatusCode.ok || progress !== "answered")
    return {
      t: "lost",
      failure: { code: StatusCode.unavailable, message: message || "the stream has ended" },
    };
  if (hasLeader && message === etcdErrors.noLeader.message) return { t: "leaderLost", failure };
  // Without etcd's own word a 14 comes from whatever stands between.
  const isAboutMember =
    code === StatusCode.unavailable && (aboutMember.has(message) || !message.startsWith("etcdserver: "));
  return { t: isAboutMember ? "lost" : "refused", failure };
}
