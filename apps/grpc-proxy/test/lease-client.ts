import {
  fromBinary,
  Lease,
  type LeaseKeepAliveResponse,
  LeaseKeepAliveResponseSchema,
  toGrpcJsService,
} from "@etcd-edge/proto";
import {
  Channel,
  type ChannelOptions,
  type ClientCall,
  type Outcome,
  type RawMetadata,
} from "@etcd-edge/transport";

const lease = toGrpcJsService(Lease);

/** One stream of keepalives. */
export class KeepAliveStream {
  readonly replies: LeaseKeepAliveResponse[] = [];
  readonly ended: Promise<Outcome>;
  readonly #call: ClientCall;
  readonly #waiters = new Set<() => void>();

  constructor(channel: Channel, metadata: RawMetadata) {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.ended = promise;
    this.#call = channel.open(
      lease.leaseKeepAlive.path,
      metadata,
      {},
      {
        onMessage: (payload) => {
          this.replies.push(fromBinary(LeaseKeepAliveResponseSchema, payload));
          for (const waiter of this.#waiters) waiter();
        },
        onEnd: (outcome) => {
          resolve(outcome);
          for (const waiter of this.#waiters) waiter();
        },
      },
    );
  }

  send(...ids: readonly bigint[]): void {
    for (const ID of ids) this.sendBytes(lease.leaseKeepAlive.requestSerialize({ ID }));
  }

  sendBytes(payload: Uint8Array): void {
    this.#call.sendMessage(payload);
  }

  halfClose(): void {
    this.#call.halfClose();
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** The TTL of the reply to a renewal that is sent now. For streams with one lease. @throws Error if the stream ends first */
  async renew(id: bigint): Promise<bigint> {
    const before = this.replies.length;
    this.send(id);
    await this.count(before + 1);
    return this.replies[before]?.TTL ?? -1n;
  }

  /** Resolves when so many replies have come. @throws Error if the stream ends first */
  async count(replies: number): Promise<void> {
    while (this.replies.length < replies) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.add(resolve);
      const outcome = await Promise.race([promise, this.ended]);
      this.#waiters.delete(resolve);
      if (outcome !== undefined && this.replies.length < replies)
        throw new Error(`the stream ended: ${outcome.code} ${outcome.message}`);
    }
  }
}

/** Leases through one address. Dispose of it. */
export class LeaseClient implements AsyncDisposable {
  readonly channel: Channel;

  constructor(address: string, tls?: ChannelOptions["tls"]) {
    const [host = "", port = ""] = address.split(":");
    this.channel = new Channel({ endpoint: { host, port: Number(port) }, ...(tls && { tls }) });
  }

  /** @param ID chosen by etcd by default */
  async grant(ttl: number, ID = 0n): Promise<bigint> {
    const request = lease.leaseGrant.requestSerialize({ TTL: BigInt(ttl), ID });
    const { payload } = await this.channel.unaryCall(lease.leaseGrant.path, [], request);
    return lease.leaseGrant.responseDeserialize(payload).ID;
  }

  async revoke(ID: bigint): Promise<void> {
    const request = lease.leaseRevoke.requestSerialize({ ID });
    await this.channel.unaryCall(lease.leaseRevoke.path, [], request);
  }

  /** Seconds left; -1 for a lease that is gone. */
  async timeToLive(ID: bigint): Promise<number> {
    const request = lease.leaseTimeToLive.requestSerialize({ ID });
    const { payload } = await this.channel.unaryCall(lease.leaseTimeToLive.path, [], request);
    return Number(lease.leaseTimeToLive.responseDeserialize(payload).TTL);
  }

  keepAlive(metadata: RawMetadata = []): KeepAliveStream {
    return new KeepAliveStream(this.channel, metadata);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.channel[Symbol.asyncDispose]();
  }
}
