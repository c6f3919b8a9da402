import { type ChannelBalancer, endpointKey, type Upstream } from "@etcd-edge/endpoints";
import {
  Event_EventType,
  fromBinary,
  KV,
  Lease,
  toGrpcJsService,
  Watch,
  type WatchResponse,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { CallError, isSafeToResend, NO_METADATA } from "@etcd-edge/transport";
import { endOfPrefix } from "../namespace/namespace.ts";
import type { AskOptions, RegistryEtcd, RegistryEvent, RegistryWatcher } from "./registry-etcd.ts";

const kv = toGrpcJsService(KV);
const lease = toGrpcJsService(Lease);
const watchMethod = toGrpcJsService(Watch).watch;

/** etcd ends a watch on a member that lost its leader: it would tell nothing, and look alive. */
const watchMetadata = ["hasleader", "true"];

/**
 * etcd over the connections that carry clients' calls. They, and not a grpc-js client beside them, because they fail
 * over by the health that is known already, speak TLS as the flags say, and are open anyway.
 */
export function createUpstreamEtcd(balancer: ChannelBalancer): RegistryEtcd {
  return {
    async grant(ttlSeconds, options) {
      const answer = await ask(balancer, lease.leaseGrant, { TTL: BigInt(ttlSeconds) }, options);
      if (answer.error !== "") throw new Error(answer.error);
      return { id: answer.ID, ttlSeconds: Number(answer.TTL) };
    },
    async renew(leaseId, options) {
      // A stream with one question: nothing to keep alive beside the lease itself, and each may go to another member.
      return Number((await ask(balancer, lease.leaseKeepAlive, { ID: leaseId }, options)).TTL);
    },
    async revoke(leaseId, options) {
      await ask(balancer, lease.leaseRevoke, { ID: leaseId }, options);
    },
    async put({ key, value, leaseId }, options) {
      const put = { key: Buffer.from(key), value: Buffer.from(value), lease: leaseId };
      const success = [{ request: { case: "requestPut", value: put } as const }];
      await ask(balancer, kv.txn, { success }, options);
    },
    async list(prefix, options) {
      const key = Buffer.from(prefix);
      const request = { key, rangeEnd: endOfPrefix(key), serializable: true };
      const { header, kvs } = await ask(balancer, kv.range, request, options);
      const entries = new Map(kvs.map((pair) => [textOf(pair.key), textOf(pair.value)]));
      return { revision: header?.revision ?? 0n, entries };
    },
    watch: (prefix, fromRevision, watcher) => openWatch(balancer, prefix, fromRevision, watcher),
  };
}

interface Method<I, O> {
  readonly path: string;
  readonly requestSerialize: (request: I) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => O;
}

/** Asks one endpoint after the other until one takes the question (rule 39). */
async function ask<I, O>(
  balancer: ChannelBalancer,
  method: Method<I, O>,
  request: I,
  { timeoutMs, signal }: AskOptions,
): Promise<O> {
  const payload = method.requestSerialize(request);
  const options = { deadlineAt: performance.now() + timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const tried = new Set<Upstream>();
  let failure = new Error("no etcd endpoint is available");
  for (;;) {
    const upstream = balancer.pick(tried);
    if (upstream === undefined) throw failure;
    try {
      const answer = await upstream.calls.unaryCall(method.path, NO_METADATA, payload, options);
      return method.responseDeserialize(answer.payload);
    } catch (error) {
      if (!(error instanceof CallError) || !isSafeToResend(error)) throw error;
      tried.add(upstream);
      failure = error;
    }
  }
}

function openWatch(
  balancer: ChannelBalancer,
  prefix: string,
  fromRevision: bigint,
  watcher: RegistryWatcher,
): () => void {
  const upstream = balancer.pick();
  let isOver = false;
  const finish = (): void => {
    isOver = true;
    unsubscribe();
    call?.cancel();
  };
  const end = (reason: string): void => {
    if (isOver) return;
    finish();
    watcher.onEnd(reason);
  };
  // A member that stopped says nothing, and its connection stays: only its health tells.
  const unsubscribe = balancer.onChange(() => {
    if (upstream !== undefined && isGone(balancer, upstream)) end("the endpoint of the watch is gone");
  });
  const call = upstream?.streams.open(
    watchMethod.path,
    watchMetadata,
    {},
    {
      onMessage: (payload) => {
        if (isOver) return;
        const response = fromBinary(WatchResponseSchema, payload);
        if (response.canceled) end(reasonOfCancel(response));
        else watcher.onEvents(response.events.flatMap(toRegistryEvent));
      },
      onEnd: ({ code, message }) => end(message === "" ? `the watch ended with code ${code}` : message),
    },
  );
  if (call === undefined) {
    queueMicrotask(() => end("no etcd endpoint is available"));
  } else {
    const key = Buffer.from(prefix);
    const value = { key, rangeEnd: endOfPrefix(key), startRevision: fromRevision };
    call.sendMessage(watchMethod.requestSerialize({ requestUnion: { case: "createRequest", value } }));
  }
  return finish;
}

function isGone(balancer: ChannelBalancer, { endpoint }: Upstream): boolean {
  const key = endpointKey(endpoint);
  const standing = balancer.snapshot().find((one) => endpointKey(one.endpoint) === key);
  return standing === undefined || standing.health.t === "ejected" || standing.health.t === "probing";
}

function reasonOfCancel({ cancelReason, compactRevision }: WatchResponse): string {
  if (compactRevision > 0n) return `the watch fell behind a compaction at ${compactRevision}`;
  return cancelReason === "" ? "the watch was canceled" : cancelReason;
}

function toRegistryEvent({ type, kv: pair }: WatchResponse["events"][number]): RegistryEvent[] {
  if (pair === undefined) return [];
  const key = textOf(pair.key);
  return [
    type === Event_EventType.DELETE ? { t: "deleted", key } : { t: "put", key, value: textOf(pair.value) },
  ];
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
