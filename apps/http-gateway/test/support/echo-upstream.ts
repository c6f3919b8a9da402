import {
  create,
  fromBinary,
  GrpcStatus,
  KeyValueSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import {
  type UnaryAnswer,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamStream,
} from "../../src/upstream/upstream.ts";

/** Keys whose read fails, with the status it fails with. */
const failures: Readonly<Record<string, { status: number; message: string; origin: "server" | "local" }>> = {
  denied: {
    status: GrpcStatus.PERMISSION_DENIED,
    message: "etcdserver: permission denied",
    origin: "server",
  },
  token: { status: GrpcStatus.UNAUTHENTICATED, message: "etcdserver: invalid auth token", origin: "server" },
  gone: { status: GrpcStatus.CANCELLED, message: "context canceled", origin: "server" },
  away: { status: GrpcStatus.UNAVAILABLE, message: "no etcd endpoint is available", origin: "local" },
};

/** Answers a Range with the key that was asked for, everything else with nothing, and keeps what it was asked. */
export class EchoUpstream implements Upstream {
  readonly calls: string[] = [];

  async unary({ rpc, metadata }: UpstreamCall, request: Uint8Array): Promise<UnaryAnswer> {
    this.calls.push(`${rpc.path} ${metadata.join(" ")} ${Buffer.from(request).toString("hex")}`);
    const headers = ["content-type", "application/grpc"];
    if (rpc.path !== "/etcdserverpb.KV/Range") return { message: new Uint8Array(), headers };
    const { key } = fromBinary(RangeRequestSchema, request);
    const failure = failures[Buffer.from(key).toString()];
    if (failure !== undefined) throw new UpstreamError(failure);
    const kvs = [create(KeyValueSchema, { key, value: Buffer.from("Grüße") })];
    return {
      message: toBinary(RangeResponseSchema, create(RangeResponseSchema, { kvs, count: 1n })),
      headers,
    };
  }

  open(): Promise<UpstreamStream> {
    throw new UpstreamError({ status: GrpcStatus.UNIMPLEMENTED, message: "no streams", origin: "server" });
  }
}
