import {
  gatesOf,
  gatesOfStatusRefusal,
  type ReadMembers,
  type UpstreamEnd,
  type UpstreamRead,
} from "@etcd-edge/coalesce";
import type { ChannelBalancer, Upstream } from "@etcd-edge/endpoints";
import type { RpcPath } from "@etcd-edge/proto";
import { type ClientSink, isSafeToResend, type Outcome, StatusCode } from "@etcd-edge/transport";
import { scopeMetadata } from "@etcd-edge/watching";
import { type Admissions, kindOfRange } from "../admission/admissions.ts";

const paths: Readonly<Record<UpstreamRead["kind"], RpcPath>> = {
  range: "/etcdserverpb.KV/Range",
  txn: "/etcdserverpb.KV/Txn",
};

/**
 * The members as shared reads see them: over the connections of unary calls. What travels alone takes its turn with the reads
 * that are not shared; what travels together is few anyway.
 */
export function createReadMembers(balancer: ChannelBalancer, admissions: Admissions): ReadMembers<Upstream> {
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
      if (!read.isLone) return send(upstream, read, onEnd);
      const work = kindOfRange(read.request);
      const admission = admissions.of(work);
      if (admission === undefined) return send(upstream, read, onEnd);
      let giveUp = (): void => {};
      const leave = admission.enter({
        client: read.client,
        start: () => {
          giveUp = send(upstream, read, (end) => {
            leave();
            onEnd(end);
          });
        },
        turnAway: (why) => {
          const failure = admissions.refusal(work, why);
          queueMicrotask(() => onEnd({ t: "refused", failure })); // not from inside `send`
        },
      });
      return () => {
        leave();
        giveUp();
      };
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
