import { type ReadCounts, ReadHub } from "@etcd-edge/coalesce";
import type { ChannelBalancer, Upstream } from "@etcd-edge/endpoints";
import { type RpcPath, readRangeKey } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { metadataValue } from "@etcd-edge/transport";
import type { Admissions } from "../admission/admissions.ts";
import type { FindTransform } from "../relay/call-transform.ts";
import type { ClientsSink } from "../relay/client-state.ts";
import type { RelayedCall } from "../relay/relay.ts";
import { createReadMembers } from "./read-members.ts";
import { SharedReadCall } from "./shared-read-call.ts";

const rangePath: RpcPath = "/etcdserverpb.KV/Range";

/** What sharing reads needs. */
export interface ReadServiceOptions {
  readonly balancer: ChannelBalancer;
  readonly admissions: Admissions;
  readonly findTransform: FindTransform;
  readonly clock: Clock;
  /** Largest request that is sent to etcd, in bytes. */
  readonly maxSendBytes: number;
  /** Keys that begin with one of these are read one by one. */
  readonly unsharedPrefixes: readonly string[];
}

/** Answers linearizable reads from as few reads of etcd as may be. */
export class ReadService {
  readonly #hub: ReadHub<Upstream>;
  readonly #maxSendBytes: number;
  readonly #unsharedPrefixes: readonly Buffer[];

  constructor({
    balancer,
    admissions,
    findTransform,
    clock,
    maxSendBytes,
    unsharedPrefixes,
  }: ReadServiceOptions) {
    const response = findTransform(rangePath)?.response;
    this.#hub = new ReadHub({
      members: createReadMembers(balancer, admissions),
      clock,
      // Before the immediates that write: what one chunk of bytes brought leaves together.
      defer: (callback) => process.nextTick(callback),
      ...(response === undefined ? {} : { toAnswer: response }),
    });
    this.#maxSendBytes = maxSendBytes;
    this.#unsharedPrefixes = unsharedPrefixes.map((prefix) => Buffer.from(prefix));
  }

  /** What was saved so far. */
  get counts(): ReadCounts {
    return this.#hub.counts;
  }

  /** @param relay makes the sink of a call that is relayed by itself, for one that cannot be shared */
  answer({ call, record, transform, credentials }: RelayedCall, relay: () => ClientsSink): ClientsSink {
    const { credential } = credentials;
    return new SharedReadCall({
      hub: this.#hub,
      scope: { credential, hasLeader: metadataValue(call.metadata, "hasleader") === "true" },
      downstream: call,
      record,
      transform,
      maxSendBytes: this.#maxSendBytes,
      unshared: this.#isUnshared,
      relay,
    });
  }

  readonly #isUnshared = (request: Uint8Array): boolean => {
    if (this.#unsharedPrefixes.length === 0) return false;
    const key = readRangeKey(request);
    return this.#unsharedPrefixes.some((prefix) => prefix.equals(key.subarray(0, prefix.length)));
  };
}
