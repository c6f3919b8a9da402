import {
  type CacheLimits,
  ReadCache,
  type ReadCounts,
  ReadDesk,
  type Reader,
  ReadHub,
  type ReadResult,
  type ReadSeat,
  type Reads,
  type RemoteAnswers,
} from "@etcd-edge/coalesce";
import type { ChannelBalancer, Upstream } from "@etcd-edge/endpoints";
import { isStaleTokenText, type ServiceIdentity } from "@etcd-edge/identity";
import { type RpcPath, readRangeKey } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { CallError, metadataValue } from "@etcd-edge/transport";
import type { WatchIdentity, WatchService } from "@etcd-edge/watching";
import type { Admissions } from "../admission/admissions.ts";
import { RevisionFloors } from "../ordering/revision-floors.ts";
import { StreamedReadCall } from "../range-stream/streamed-read-call.ts";
import { type FindTransform, transformRequest } from "../relay/call-transform.ts";
import type { ClientState, ClientsCall, ClientsSink } from "../relay/client-state.ts";
import type { RelayedCall } from "../relay/relay.ts";
import { createReadMembers } from "./read-members.ts";
import { ReadScopes } from "./read-scopes.ts";
import { SharedReadCall } from "./shared-read-call.ts";

const rangePath: RpcPath = "/etcdserverpb.KV/Range";

/** What sharing reads needs. */
export interface ReadServiceOptions {
  readonly balancer: ChannelBalancer;
  readonly admissions: Admissions;
  readonly watches: WatchService;
  /** An identity of ours that reads of all who may read the same are shared under (rule 28). */
  readonly service: ServiceIdentity | undefined;
  /** How long a permission is remembered, in milliseconds (rule 18). */
  readonly authRecheckMs: number;
  readonly findTransform: FindTransform;
  readonly clock: Clock;
  /** Largest request that is sent to etcd, in bytes. */
  readonly maxSendBytes: number;
  /** Keys that begin with one of these are read one by one. */
  readonly unsharedPrefixes: readonly string[];
  /** Whether anything is answered from memory. */
  readonly isCaching: boolean;
  readonly limits: Partial<CacheLimits>;
  /** Whether keys of clients stand under a prefix at etcd. */
  readonly isScoped: boolean;
  /** What replicas leave each other. */
  readonly remote: RemoteAnswers | undefined;
  /** With `--experimental-serializable-ordering`: what each client has seen, by its token too. */
  readonly floors: RevisionFloors | undefined;
}

/** Answers reads from as few reads of etcd as may be. */
export class ReadService implements Disposable {
  readonly cache: ReadCache;
  readonly desk: ReadDesk;
  readonly #floors: RevisionFloors;
  readonly #hub: ReadHub<Upstream>;
  readonly #options: ReadServiceOptions;
  readonly #unsharedPrefixes: readonly Buffer[];
  readonly #scopes: ReadScopes;

  constructor(options: ReadServiceOptions) {
    const { balancer, findTransform, clock, service } = options;
    const transform = findTransform(rangePath);
    this.#options = options;
    this.#floors = options.floors ?? new RevisionFloors();
    this.#unsharedPrefixes = options.unsharedPrefixes.map((prefix) => Buffer.from(prefix));
    this.#hub = this.#createHub(balancer);
    this.cache = new ReadCache({
      reads: this.#chooseHub(),
      clock,
      toRequest: (request) => transform?.request(request) ?? request,
      remote: options.remote,
      limits: options.isCaching
        ? options.limits
        : { ...options.limits, feeds: 0, answerBytes: 0, maxAgeMs: 0 },
    });
    this.#scopes = new ReadScopes({
      ...{ watches: options.watches, clock, service, rememberMs: options.authRecheckMs },
      toRequest: (payload) => this.#toRequest(payload),
      isPlain: ({ query }) => options.isCaching || !query.isSerializable,
    });
    this.desk = new ReadDesk({
      ...{ cache: this.cache, clock, refusedMs: options.authRecheckMs },
      ours: (hasLeader) => this.#scopes.ours(hasLeader),
      onRefused: ({ message }) => {
        if (isStaleTokenText(message)) void service?.refresh();
      },
    });
  }

  #createHub(balancer: ChannelBalancer, counts?: ReadCounts): ReadHub<Upstream> {
    const { admissions, clock, findTransform } = this.#options;
    const transform = findTransform(rangePath);
    return new ReadHub({
      members: createReadMembers(balancer, admissions),
      clock,
      // Before the immediates that write: what one chunk of bytes brought leaves together.
      defer: (callback) => process.nextTick(callback),
      ...(counts === undefined ? {} : { counts }),
      ...(transform?.response === undefined ? {} : { toAnswer: transform.response }),
    });
  }

  /** Reads under our own name do not share connections with those of clients (rule 8). */
  #chooseHub(): Reads {
    const { service } = this.#options;
    if (service === undefined) return this.#hub;
    const ours = this.#createHub(service.balancer, this.#hub.counts);
    return {
      read: (scope, shape, read) => (scope.isOurs === true ? ours : this.#hub).read(scope, shape, read),
    };
  }

  /** What was saved so far. */
  get counts(): ReadCounts {
    return this.#hub.counts;
  }

  /** @param identity of a credential that is no token of etcd's */
  #readerOf(call: ClientsCall, credential: string | undefined, identity?: WatchIdentity): Reader {
    return this.#scopes.of(credential, metadataValue(call.metadata, "hasleader") === "true", identity);
  }

  /** @param relay makes the sink of a call that is relayed by itself, for one that cannot be shared */
  answer(
    { call, record, credentials }: RelayedCall,
    identity: WatchIdentity | undefined,
    relay: () => ClientsSink,
  ): ClientsSink {
    const reader = this.#readerOf(call, credentials.credential, identity);
    return new SharedReadCall({ service: this, reader, downstream: call, record, relay });
  }

  /** The same for a RangeStream. */
  answerStream(
    { call, record, credentials }: RelayedCall,
    identity: WatchIdentity | undefined,
    relay: () => ClientsSink,
  ): ClientsSink {
    const reader = this.#readerOf(call, credentials.credential, identity);
    return new StreamedReadCall({ service: this, reader, downstream: call, record, relay });
  }

  /**
   * Answers one page of a range that is read page by page for a client.
   * @param request as etcd gets it, and clients send it
   * @returns nothing where it cannot be shared
   * @throws CallError
   */
  async page(
    request: Uint8Array,
    call: ClientsCall,
    credential: string | undefined,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const reader = this.#readerOf(call, credential);
    const seat = this.seatOf(reader, Buffer.from(request));
    if (seat === undefined) return undefined;
    const floor = this.floorOf(call.client.data, reader);
    const result =
      this.desk.answerNow(seat, floor) ??
      (await new Promise<ReadResult>((resolve) => {
        const { deadlineAt: deadlineMs, client } = call;
        const leave = this.desk.read(seat, { floor, deadlineMs, client, settle: resolve });
        signal.addEventListener("abort", leave, { once: true });
      }));
    if (result.t === "failed") throw new CallError({ ...result.failure, metadata: [], progress: "answered" });
    return result.t === "aside" ? undefined : Buffer.concat([result.head, result.body]);
  }

  /** What a request is to the cache, and under whose name it goes; nothing for one that is relayed by itself. */
  seatOf(reader: Reader, payload: Buffer): ReadSeat | undefined {
    return this.desk.seat(reader, payload);
  }

  /** Whether clients and etcd call keys the same: not under a namespace. */
  get hasClientsKeys(): boolean {
    return !this.#options.isScoped;
  }

  /** Whether serializable reads that nothing here can answer are asked of one member after another until one is far enough. */
  get isOrdered(): boolean {
    return this.#options.floors !== undefined;
  }

  /** Below which revision nothing may be shown to a client without a quorum's word (rule 29). */
  floorOf(client: ClientState, { scope }: Reader): bigint {
    const shown = this.#floors.of(client, this.#tokenOf(scope.read.credential));
    if (client.watchCount.watches === 0) return shown;
    // Its watches have shown it no more than is known there.
    const known = this.#options.watches.knownRevision(scope.id);
    if (known > shown) return known;
    return shown;
  }

  /** A client is shown a revision. */
  raiseFloor(client: ClientState, credential: string | undefined, revision: bigint): void {
    this.#floors.raise(client, this.#tokenOf(credential), revision);
  }

  #tokenOf(credential: string | undefined): string | undefined {
    return this.isOrdered ? credential : undefined;
  }

  /** History is another one (rules 3, 32). */
  forget(): void {
    this.#floors.forget();
    this.cache.forget();
  }

  /** Users, roles, or whether there are any, may have changed. */
  forgetPermissions(): void {
    this.cache.forgetPermissions();
    this.#scopes.forgetPermissions();
  }

  [Symbol.dispose](): void {
    this.cache[Symbol.dispose]();
  }

  #toRequest(payload: Buffer): Uint8Array | undefined {
    if (this.#isUnshared(payload)) return undefined;
    const transformed = transformRequest(this.#options.findTransform(rangePath), payload);
    const isSendable = transformed.t === "bytes" && transformed.bytes.length <= this.#options.maxSendBytes;
    return isSendable ? transformed.bytes : undefined;
  }

  #isUnshared(request: Uint8Array): boolean {
    if (this.#unsharedPrefixes.length === 0) return false;
    const key = readRangeKey(request);
    return this.#unsharedPrefixes.some((prefix) => prefix.equals(key.subarray(0, prefix.length)));
  }
}
