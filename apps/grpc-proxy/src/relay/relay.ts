import type { ChannelBalancer } from "@etcd-edge/endpoints";
import { findRpc, type Rpc } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import type { ServerCall, ServerSink } from "@etcd-edge/transport";
import { rpcTable } from "../rpc-table.ts";
import type { CallCounters } from "./call-counters.ts";
import type { FindTransform } from "./call-transform.ts";
import { type LocalAnswers, LocalCall } from "./local-call.ts";
import { SingleRequestCall } from "./single-request-call.ts";
import { StreamingCall } from "./streaming-call.ts";

/** What every relayed call needs. All durations in milliseconds. */
export interface RelayContext {
  readonly balancer: ChannelBalancer;
  readonly counters: CallCounters;
  /** Longest wait of a read for an upstream (rule 42). */
  readonly upstreamWaitMs: number;
  /** Largest request that is sent to etcd. */
  readonly maxSendBytes: number;
  readonly clock: Clock;
  readonly findTransform: FindTransform;
  readonly localAnswers: LocalAnswers;
}

/**
 * Hands every call on to an etcd endpoint as bytes: nothing is decoded, so fields and RPCs that this version does not
 * know pass untouched. Calls with one request are forwarded once it is complete, because only then can they be sent
 * to another endpoint when the first one provably did not take them (rule 39). What has a local answer is answered here.
 */
export function createRelay(context: RelayContext): (call: ServerCall) => ServerSink {
  return (call) => {
    const rpc = findRpc(call.path);
    const record = context.counters.start(rpc, call.path);
    const transform = context.findTransform(call.path);
    if (transform?.refusal !== undefined) {
      record.end(transform.refusal.code);
      call.end(transform.refusal);
      return deaf;
    }
    const local = rpc === undefined ? undefined : rpcTable[rpc.path].local;
    const answer = local === undefined ? undefined : context.localAnswers[local];
    if (answer !== undefined) return new LocalCall(call, record, answer);
    return isSingleRequest(rpc)
      ? new SingleRequestCall(context, rpc, call, record, transform)
      : new StreamingCall(context, call, record, transform);
  };
}

/** An RPC that the schema does not know may stream both ways: that way of relaying suits every kind. */
function isSingleRequest(rpc: Rpc | undefined): rpc is Rpc {
  return rpc !== undefined && rpc.kind !== "bidi";
}

/** For a call that was answered before it said anything. */
const deaf: ServerSink = { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
