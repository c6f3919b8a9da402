import { endOfPrefix } from "@etcd-edge/coalesce";
import { type ChannelBalancer, endpointKey, type Upstream } from "@etcd-edge/endpoints";
import type { MakeCall, ServiceCredential } from "@etcd-edge/identity";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  Event_EventType,
  fromBinary,
  KV,
  Lease,
  toGrpcJsService,
  Watch,
  type WatchResponse,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import {
  CallError,
  type CallOptions,
  isSafeToResend,
  NO_METADATA,
  type RawMetadata,
} from "@etcd-edge/transport";
import type { AskOptions, RegistryEtcd, RegistryEvent, RegistryWatcher } from "./registry-etcd.ts";

const kv = toGrpcJsService(KV);
const lease = toGrpcJsService(Lease);
const watchMethod = toGrpcJsService(Watch).watch;

/** etcd ends a watch on a member that lost its leader: it would tell nothing, and look alive. */
const watchMetadata = ["hasleader", "true"];
const tokenTimeoutMs = 5_000;

/**
 * etcd over a balancer's connections. Without an identity those that carry clients' calls will do: they fail over by the
 * health that is known already, speak TLS as the flags say, and are open anyway. A token of our own must never travel
 * where clients' calls do (rule 8): with one the balancer must be another.
 */
export function createUpstreamEtcd(balancer: ChannelBalancer, token?: ServiceCredential): RegistryEtcd {
  const ask: Ask = (method, request, options) => askUpstream({ balancer, token }, method, request, options);
  return {
    async grant(ttlSeconds, options) {
      const answer = await ask(lease.leaseGrant, { TTL: BigInt(ttlSeconds) }, options);
      if (answer.error !== "") throw new Error(answer.error);
      return { id: answer.ID, ttlSeconds: Number(answer.TTL) };
    },
    async renew(leaseId, options) {
      // A stream with one question: nothing to keep alive beside the lease itself, and each may go to another member.
      return Number((await ask(lease.leaseKeepAlive, { ID: leaseId }, options)).TTL);
    },
    async revoke(leaseId, options) {
      await ask(lease.leaseRevoke, { ID: leaseId }, options);
    },
    async put({ key, value, leaseId }, options) {
      const put = { key: Buffer.from(key), value: Buffer.from(value), lease: leaseId };
      const success = [{ request: { case: "requestPut", value: put } as const }];
      await ask(kv.txn, { success }, options);
    },
    async claim({ key, value, leaseId }, options) {
      const name = Buffer.from(key);
      const success = [
        {
          request: {
            case: "requestPut",
            value: { key: name, value: Buffer.from(value), lease: leaseId },
          } as const,
        },
      ];
      const common = { key: name, result: Compare_CompareResult.EQUAL };
      const isNew = {
        ...common,
        target: Compare_CompareTarget.CREATE,
        targetUnion: { case: "createRevision", value: 0n } as const,
      };
      const isOurs = {
        ...common,
        target: Compare_CompareTarget.LEASE,
        targetUnion: { case: "lease", value: leaseId } as const,
      };
      const first = await ask(kv.txn, { compare: [isNew], success }, options);
      return first.succeeded || (await ask(kv.txn, { compare: [isOurs], success }, options)).succeeded;
    },
    async list(prefix, options) {
      const key = Buffer.from(prefix);
      const request = { key, rangeEnd: endOfPrefix(key), serializable: true };
      const { header, kvs } = await ask(kv.range, request, options);
      const entries = new Map(kvs.map((pair) => [textOf(pair.key), textOf(pair.value)]));
      return { revision: header?.revision ?? 0n, entries };
    },
    watch: (prefix, fromRevision, watcher) => {
      if (token === undefined)
        return openWatch({ balancer, metadata: watchMetadata }, prefix, fromRevision, watcher);
      return openWatchAs(
        token,
        balancer,
        (metadata) =>
          openWatch({ balancer, metadata: [...watchMetadata, ...metadata] }, prefix, fromRevision, watcher),
        watcher,
      );
    },
  };
}

interface Method<I, O> {
  readonly path: string;
  readonly requestSerialize: (request: I) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => O;
}

type Ask = <I, O>(method: Method<I, O>, request: I, options: AskOptions) => Promise<O>;

interface Way {
  readonly balancer: ChannelBalancer;
  readonly token: ServiceCredential | undefined;
}

async function askUpstream<I, O>(
  { balancer, token }: Way,
  method: Method<I, O>,
  request: I,
  { timeoutMs, signal }: AskOptions,
): Promise<O> {
  const options = { deadlineAt: performance.now() + timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const call: MakeCall = (path, metadata, payload) => callAny(balancer, path, { metadata, payload, options });
  const use = (metadata: RawMetadata): Promise<Buffer> =>
    call(method.path, metadata, method.requestSerialize(request));
  return method.responseDeserialize(await (token === undefined ? use(NO_METADATA) : token.call(call, use)));
}

/** Asks one endpoint after the other until one takes the question (rule 39). */
async function callAny(
  balancer: ChannelBalancer,
  path: string,
  { metadata, payload, options }: { metadata: RawMetadata; payload: Uint8Array; options: CallOptions },
): Promise<Buffer> {
  const tried = new Set<Upstream>();
  let failure = new Error("no etcd endpoint is available");
  for (;;) {
    const upstream = balancer.pick(tried);
    if (upstream === undefined) throw failure;
    try {
      return (await upstream.calls.unaryCall(path, metadata, payload, options)).payload;
    } catch (error) {
      if (!(error instanceof CallError) || !isSafeToResend(error)) throw error;
      tried.add(upstream);
      failure = error;
    }
  }
}

/** Opens it once there is a token; one that etcd refuses is asked for anew by the next. */
function openWatchAs(
  token: ServiceCredential,
  balancer: ChannelBalancer,
  open: (metadata: RawMetadata) => () => void,
  watcher: RegistryWatcher,
): () => void {
  const options = { deadlineAt: performance.now() + tokenTimeoutMs };
  const call: MakeCall = (path, metadata, payload) => callAny(balancer, path, { metadata, payload, options });
  let stop: (() => void) | undefined;
  let isStopped = false;
  token.metadata(call).then(
    (metadata) => {
      if (!isStopped) stop = open(metadata);
    },
    (error: unknown) => {
      if (!isStopped) watcher.onEnd(error instanceof Error ? error.message : String(error));
    },
  );
  return () => {
    isStopped = true;
    stop?.();
  };
}

function openWatch(
  { balancer, metadata }: { balancer: ChannelBalancer; metadata: RawMetadata },
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
    metadata,
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
