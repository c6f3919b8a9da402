import type { Server as HttpServer } from "node:http";
import type { ChannelOptions, ServerOptions, TransportCounters } from "@etcd-edge/transport";
import type { Config } from "./options.ts";
import { ClientState } from "./relay/client-state.ts";

/** An etcd member restarts in about a second: longer pauses between attempts would only lengthen an outage. */
const maxReconnectMs = 2_000;

/** What the flags say about connections to etcd. */
export function toChannelOptions(
  config: Config,
  counters: TransportCounters,
): Omit<ChannelOptions, "endpoint"> {
  return {
    keepalive: {
      timeMs: config.dialKeepaliveTime,
      timeoutMs: config.dialKeepaliveTimeout,
      withoutStreams: config.permitWithoutStream,
    },
    limits: config.maxRecvBytes > 0 ? { maxReceiveMessageBytes: config.maxRecvBytes } : {},
    backoff: { maxMs: maxReconnectMs },
    counters,
  };
}

/** What the flags say about connections of clients. */
export function toServerOptions(
  config: Config,
  http1: HttpServer,
  counters: TransportCounters,
): Pick<
  ServerOptions<ClientState>,
  "http1" | "counters" | "limits" | "maxConcurrentStreams" | "keepalive" | "pingPolicy" | "createData"
> {
  return {
    http1,
    counters,
    limits: { maxReceiveMessageBytes: largestRequest(config.maxSendBytes) },
    maxConcurrentStreams: config.maxConcurrentStreams,
    keepalive: {
      timeMs: config.grpcKeepaliveInterval,
      timeoutMs: config.grpcKeepaliveTimeout,
      withoutStreams: true,
    },
    pingPolicy: { minTimeMs: config.grpcKeepaliveMinTime, permitWithoutStreams: false },
    createData: () => new ClientState(),
  };
}

/**
 * What a client may send at all, before it is looked at: grpc-go's default, or what etcd takes beside a request of the
 * size that is allowed. Between that size and this one the answer is etcd's (3), past this one grpc-go's (8).
 */
function largestRequest(maxSendBytes: number): number {
  const defaultBytes = 4 * 1024 * 1024;
  const overheadBytes = 512 * 1024;
  return maxSendBytes > 0 ? Math.max(defaultBytes, maxSendBytes + overheadBytes) : 0x7fff_ffff;
}
