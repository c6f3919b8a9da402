import { type Logger, silentLogger } from "@etcd-edge/runtime";
import type { Client, ClientDuplexStream, Metadata, ServiceError } from "@grpc/grpc-js";
import { credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { type GrpcProxy, startGrpcProxy } from "../src/app.ts";
import { type Config, options } from "../src/options.ts";

/** A configuration of defaults, listening on a free port, with some values changed. */
function configOf(changed: Partial<Config>): Config {
  const defaults = Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, option.default]),
  );
  // Every row of the table was filled with its own default just now.
  return {
    ...(defaults as unknown as Config),
    listenAddr: "127.0.0.1:0",
    shutdownGracePeriod: 2_000,
    ...changed,
  };
}

/** The proxy in this process, logging nothing unless asked to. */
export function startProxy(changed: Partial<Config>, logger: Logger = silentLogger): Promise<GrpcProxy> {
  return startGrpcProxy(configOf(changed), { logger, env: {} });
}

const raw = {
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};

const RawClient = makeGenericClientConstructor(
  {
    range: { ...raw, path: "/etcdserverpb.KV/Range", requestStream: false, responseStream: false },
    put: { ...raw, path: "/etcdserverpb.KV/Put", requestStream: false, responseStream: false },
    snapshot: {
      ...raw,
      path: "/etcdserverpb.Maintenance/Snapshot",
      requestStream: false,
      responseStream: true,
    },
    future: { ...raw, path: "/etcdserverpb.KV/Future", requestStream: true, responseStream: true },
  },
  "raw",
);

type Callback = (error: ServiceError | null, answer?: Buffer) => void;
type Unary = (
  request: Buffer,
  metadata: Metadata,
  options: { deadline?: number },
  callback: Callback,
) => UnaryCall;
type UnaryCall = {
  on(event: "metadata" | "status", listener: (value: never) => void): UnaryCall;
  cancel(): void;
};
type Stream = (metadata?: Metadata) => ClientDuplexStream<Buffer, Buffer>;

/** grpc-js as the independent client, with messages as bytes. Dispose of it. */
export interface ByteClient extends Disposable {
  readonly range: Unary;
  readonly put: Unary;
  readonly snapshot: (request: Buffer) => ClientDuplexStream<Buffer, Buffer>;
  readonly future: Stream;
}

export function createByteClient(port: number): ByteClient {
  const client = new RawClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
  }) as Client & Record<string, (...args: unknown[]) => unknown>;
  const method = (name: string) => client[name]?.bind(client) as never;
  return {
    range: method("range"),
    put: method("put"),
    snapshot: method("snapshot"),
    future: method("future"),
    [Symbol.dispose]: () => client.close(),
  };
}
