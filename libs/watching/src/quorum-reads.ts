import { gatesOf, type KeyRange, ProbeError, toRangeFields } from "@etcd-edge/coalesce";
import { type ChannelBalancer, endpointKey, type Upstream } from "@etcd-edge/endpoints";
import { isStaleToken } from "@etcd-edge/identity";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  create,
  etcdErrors,
  fromBinary,
  type HeaderView,
  KeyValueSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  type RpcPath,
  readResponseHeader,
  TxnRequestSchema,
  toBinary,
  WatchRequestSchema,
} from "@etcd-edge/proto";
import { CallError, isSafeToResend, NO_METADATA, type RawMetadata } from "@etcd-edge/transport";
import type { FindMessageTransform } from "./message-transform.ts";
import { scopeMetadata } from "./scope-metadata.ts";

const probeTimeoutMs = 5_000;
const rangePath: RpcPath = "/etcdserverpb.KV/Range";
const txnPath: RpcPath = "/etcdserverpb.KV/Txn";
const watchPath: RpcPath = "/etcdserverpb.Watch/Watch";
const smallestKey = Uint8Array.of(0);

/** The reads that watches need of etcd, with one credential. */
export class QuorumReads {
  readonly #balancer: ChannelBalancer;
  readonly #credential: () => string | undefined;
  readonly #findTransform: FindMessageTransform;
  readonly #renew: (() => Promise<void>) | undefined;

  constructor(options: {
    balancer: ChannelBalancer;
    /** What etcd is shown, asked for each call. */
    credential: () => string | undefined;
    findTransform: FindMessageTransform;
    /** Fetches another credential; where it is given, a call that etcd refuses for the credential is made once more. */
    renew?: () => Promise<void>;
  }) {
    this.#balancer = options.balancer;
    this.#credential = options.credential;
    this.#findTransform = options.findTransform;
    this.#renew = options.renew;
  }

  /**
   * A quorum's revision, and whether the ranges may be read (rules 10, 14, 34): a Txn that cannot succeed, with
   * linearizable reads in the branch that is not taken. An etcd that is too old for it is asked a Range that counts.
   *
   * @throws ProbeError with etcd's code and message
   */
  async probe(ranges: readonly KeyRange[]): Promise<HeaderView> {
    const tried = new Set<Upstream>();
    for (;;) {
      const upstream = this.#balancer.pick(tried);
      if (upstream === undefined) throw new ProbeError(14, "no etcd endpoint is available");
      try {
        const header = await this.#probeAt(upstream, ranges);
        if (this.#balancer.heard(upstream, header.clusterId)) return header;
        tried.add(upstream);
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        tried.add(upstream);
        if (isElsewhere(error) && this.#isAnyLeft(tried)) continue;
        throw new ProbeError(error.code, error.message);
      }
    }
  }

  /** The value that a key had at a revision, or nothing where etcd has compacted it. */
  async previous(key: Uint8Array, revision: bigint): Promise<Uint8Array | undefined> {
    const upstream = this.#balancer.pick();
    if (upstream === undefined) throw new ProbeError(14, "no etcd endpoint is available");
    try {
      const request = toBinary(RangeRequestSchema, create(RangeRequestSchema, { key, revision }));
      const { kvs } = fromBinary(RangeResponseSchema, await this.#call(upstream, rangePath, request));
      const [kv] = kvs;
      return kv === undefined ? undefined : toBinary(KeyValueSchema, kv);
    } catch (error) {
      if (error instanceof CallError && error.message.includes("compacted")) return undefined;
      throw error;
    }
  }

  /** The revision of one member's own store, on the connection of the streams (rule 16). */
  async memberRevision(member: string): Promise<bigint> {
    const upstream = this.#balancer.upstreams().find(({ endpoint }) => endpointKey(endpoint) === member);
    if (upstream === undefined) throw new ProbeError(14, `${member} is no longer an endpoint`);
    const asked = create(RangeRequestSchema, { key: smallestKey, serializable: true, countOnly: true });
    const payload = this.#rewritten(rangePath, toBinary(RangeRequestSchema, asked));
    const deadlineAt = performance.now() + probeTimeoutMs;
    const answer = await upstream.streams.unaryCall(rangePath, this.#metadata(), payload, { deadlineAt });
    return readResponseHeader(answer.payload).revision;
  }

  /**
   * Who answers, and at which revision, for clients that may read nothing: etcd says so in its answer to a watch, also to one
   * that it refuses, and newer releases nowhere else. No credential is shown: one that this etcd does not know yet would have
   * to wait.
   */
  async header(): Promise<HeaderView> {
    const upstream = this.#balancer.pick();
    if (upstream === undefined) throw new ProbeError(14, "no etcd endpoint is available");
    const { promise, resolve, reject } = Promise.withResolvers<HeaderView>();
    const options = { deadlineAt: performance.now() + probeTimeoutMs };
    const call = upstream.streams.open(watchPath, NO_METADATA, options, {
      onMessage: (payload) => resolve(readResponseHeader(payload)),
      onEnd: ({ code, message }) => reject(new ProbeError(code, message)),
    });
    const asked = { case: "createRequest" as const, value: { key: smallestKey } };
    const request = toBinary(WatchRequestSchema, create(WatchRequestSchema, { requestUnion: asked }));
    call.sendMessage(this.#rewritten(watchPath, request));
    try {
      return await promise;
    } finally {
      call.cancel();
    }
  }

  async #probeAt(upstream: Upstream, ranges: readonly KeyRange[]): Promise<HeaderView> {
    const version = this.#balancer.memberOf(upstream)?.version ?? "";
    if (gatesOf(version).readOnlyTxn)
      return readResponseHeader(
        await this.#call(upstream, txnPath, probeTxn(ranges, this.#credential() !== undefined)),
      );
    let header: HeaderView | undefined;
    for (const range of ranges) {
      const asked = create(RangeRequestSchema, { ...toRangeFields(range), countOnly: true, limit: 1n });
      header = readResponseHeader(await this.#call(upstream, rangePath, toBinary(RangeRequestSchema, asked)));
    }
    return header ?? { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };
  }

  async #call(upstream: Upstream, path: RpcPath, request: Uint8Array): Promise<Buffer> {
    const deadlineAt = performance.now() + probeTimeoutMs;
    const payload = this.#rewritten(path, request);
    const call = async (): Promise<Buffer> =>
      (await upstream.calls.unaryCall(path, this.#metadata(), payload, { deadlineAt })).payload;
    try {
      return await call();
    } catch (error) {
      if (this.#renew === undefined || !isStaleToken(error)) throw error;
      await this.#renew();
      return await call();
    }
  }

  #isAnyLeft(tried: ReadonlySet<Upstream>): boolean {
    return this.#balancer.upstreams().some((upstream) => !tried.has(upstream));
  }

  #metadata(): RawMetadata {
    return scopeMetadata(this.#credential(), false);
  }

  #rewritten(path: RpcPath, request: Uint8Array): Uint8Array {
    const transform = this.#findTransform(path);
    return transform === undefined ? request : transform.request(request);
  }
}

/**
 * Whether another member may say something else: the call never reached this one; or this one was started anew and has
 * forgotten the simple tokens that the others know (rule 18).
 */
function isElsewhere(error: CallError): boolean {
  if (error.code === 14) return isSafeToResend(error);
  return error.message === etcdErrors.invalidAuthToken.message;
}

/**
 * @param hasCredential with auth on permission is checked on compares too: the compare is then on a key that is probed
 *   anyway; else on the smallest key, for etcd reads the value it compares
 */
export function probeTxn(ranges: readonly KeyRange[], hasCredential: boolean): Uint8Array {
  const [first] = ranges;
  const key = hasCredential && first !== undefined ? toRangeFields(first).key : smallestKey;
  const requests = ranges.map((range) => ({
    request: {
      case: "requestRange" as const,
      value: create(RangeRequestSchema, { ...toRangeFields(range), countOnly: true, limit: 1n }),
    },
  }));
  const never = {
    key,
    target: Compare_CompareTarget.VERSION,
    result: Compare_CompareResult.LESS,
    targetUnion: { case: "version" as const, value: 0n },
  };
  return toBinary(TxnRequestSchema, create(TxnRequestSchema, { compare: [never], success: requests }));
}
