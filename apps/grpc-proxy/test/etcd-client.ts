import { Channel, type ChannelOptions, type Outcome, type RawMetadata } from "@etcd-edge/transport";

/** A method as `toGrpcJsService` makes it. */
export interface Method<I, O> {
  readonly path: string;
  readonly requestSerialize: (request: I) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => O;
}

/** Typed calls on one connection. Dispose of it. */
export class EtcdClient implements AsyncDisposable {
  readonly channel: Channel;

  constructor(address: string, tls?: ChannelOptions["tls"]) {
    const [host = "", port = ""] = address.split(":");
    this.channel = new Channel({ endpoint: { host, port: Number(port) }, ...(tls && { tls }) });
  }

  /** @throws CallError with etcd's status */
  async call<I, O>(method: Method<I, O>, request: I, metadata: RawMetadata = []): Promise<O> {
    const { payload } = await this.channel.unaryCall(method.path, metadata, method.requestSerialize(request));
    return method.responseDeserialize(payload);
  }

  /** All messages of a server stream, and how it ended. */
  stream<I, O>(
    method: Method<I, O>,
    request: I,
    metadata: RawMetadata = [],
  ): Promise<{ messages: O[]; outcome: Outcome }> {
    const { promise, resolve } = Promise.withResolvers<{ messages: O[]; outcome: Outcome }>();
    const messages: O[] = [];
    const call = this.channel.open(
      method.path,
      metadata,
      {},
      {
        onMessage: (payload) => void messages.push(method.responseDeserialize(payload)),
        onEnd: (outcome) => resolve({ messages, outcome }),
      },
    );
    call.sendMessage(method.requestSerialize(request), true);
    return promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.channel[Symbol.asyncDispose]();
  }
}
