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
  "http1" | "counters" | "maxConcurrentStreams" | "keepalive" | "pingPolicy" | "createData"
> {
  return {
    http1,
    counters,
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
