import {
  gatesOf,
  gatesOfStatusRefusal,
  type ReadMembers,
  type UpstreamEnd,
  type UpstreamRead,
} from "@etcd-edge/coalesce";
import { type ChannelBalancer, foreignCluster, type Upstream } from "@etcd-edge/endpoints";
import type { RpcPath } from "@etcd-edge/proto";
import { type ClientSink, isSafeToResend, type Outcome, StatusCode } from "@etcd-edge/transport";
import { scopeMetadata } from "./scope-metadata.ts";

const paths: Readonly<Record<UpstreamRead["kind"], RpcPath>> = {
  range: "/etcdserverpb.KV/Range",
  txn: "/etcdserverpb.KV/Txn",
};

/** The members as shared reads see them: over the connections of unary calls. */
export function createReadMembers(balancer: ChannelBalancer): ReadMembers<Upstream> {
  return {
    pick(excluded) {
      const picked = balancer.pick(excluded);
      // The balancer's last resort is who is believed to be down; to wait for one who is not is better.
      const isUsable = picked !== undefined && (excluded.size === 0 || balancer.isWorking(picked));
      return isUsable ? picked : undefined;
    },
    takesTxn(upstream) {
      const version = balancer.memberOf(upstream)?.version ?? "";
      return (balancer.isGuarded(upstream) ? gatesOfStatusRefusal : gatesOf(version)).readOnlyTxn;
    },
    send(upstream, read, onEnd) {
      return send(upstream, read, (end) => {
        const isForeign = end.t === "answered" && !balancer.believes(upstream, end.payload);
        onEnd(isForeign ? { t: "lost", failure: foreignCluster } : end);
      });
    },
  };
}

function send(
  upstream: Upstream,
  { kind, request, scope, deadlineMs }: UpstreamRead,
  onEnd: (end: UpstreamEnd) => void,
): () => void {
  let answer: Uint8Array | undefined;
  let isGivenUp = false;
  const metadata = scopeMetadata(scope.credential, scope.hasLeader);
  const sink: ClientSink = {
    onMessage: (payload) => {
      answer = payload;
    },
    onEnd: (outcome) => {
      if (!isGivenUp) onEnd(toUpstreamEnd(outcome, answer));
    },
  };
  const call = upstream.calls.open(paths[kind], metadata, { deadlineAt: deadlineMs }, sink);
  call.sendMessage(request, true);
  return () => {
    isGivenUp = true;
    call.cancel();
  };
}

function toUpstreamEnd(outcome: Outcome, answer: Uint8Array | undefined): UpstreamEnd {
  if (outcome.code === StatusCode.ok) {
    if (answer !== undefined) return { t: "answered", payload: answer };
    return {
      t: "refused",
      failure: { code: StatusCode.internal, message: "etcd answered without a message" },
    };
  }
  if (isSafeToResend(outcome)) return { t: "unsent", failure: outcome };
  if (outcome.progress === "answered") return { t: "refused", failure: outcome };
  return { t: outcome.code === StatusCode.deadlineExceeded ? "late" : "lost", failure: outcome };
}
