import { type Endpoint, endpointAddress, isTlsEndpoint, isUnixEndpoint } from "@etcd-edge/endpoints";
import { GrpcStatus } from "@etcd-edge/proto";
import type { ClientTls, Logger } from "@etcd-edge/runtime";
import {
  CallError,
  type CallOptions,
  Channel,
  isSafeToResend,
  type TransportCounters,
} from "@etcd-edge/transport";
import { toUpstreamError, withContentType } from "./channel-errors.ts";
import { ChannelStream } from "./channel-stream.ts";
import { ReadyChannels } from "./ready-channels.ts";
import {
  type UnaryAnswer,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamStream,
} from "./upstream.ts";

/** How long a read waits for a connection when there is none (rule 42). Writes and streams do not wait. */
const readHoldMs = 2_000;
/** etcd ends connections that ping more often than every 5 s. */
const keepalive = { timeMs: 10_000, timeoutMs: 10_000, withoutStreams: false };
/** Connections that streams to one endpoint may spread over when the server limits streams per connection. */
const maxStreamConnections = 8;

export interface ChannelUpstreamOptions {
  readonly endpoints: readonly Endpoint[];
  /** For endpoints that say `https`, and for those that say nothing. */
  readonly tls: ClientTls | undefined;
  readonly logger: Logger;
  readonly counters?: TransportCounters;
}

/** Calls to the endpoints given. Disposing ends all of them. */
export interface ChannelUpstream extends Upstream, AsyncDisposable {
  /** Why no call can be made now, or nothing. */
  problem(): string | undefined;
}

/**
 * Makes calls over channels to all endpoints, in turn. Streams have connections of their own, so that no large answer
 * holds up a watch. A call is sent again, to another endpoint, only where that cannot carry it out twice (rule 39).
 */
export function createChannelUpstream(options: ChannelUpstreamOptions): ChannelUpstream {
  const unaryChannels = createChannels(options, 1);
  const streamChannels = createChannels(options, maxStreamConnections);
  unaryChannels.connect();
  streamChannels.connect();
  const tries = options.endpoints.length + 1;
  return {
    unary: (call, request) => callUnary(unaryChannels, tries, call, request),
    open: async (call) => await openStream(streamChannels, call),
    problem: () => unaryChannels.problem(),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([unaryChannels.close(), streamChannels.close()]);
    },
  };
}

async function callUnary(
  channels: ReadyChannels,
  tries: number,
  call: UpstreamCall,
  request: Uint8Array,
): Promise<UnaryAnswer> {
  const options = toCallOptions(call);
  const isRead = call.rpc.path === "/etcdserverpb.KV/Range";
  const holdUntil = performance.now() + (isRead ? readHoldMs : 0);
  for (let attempt = 1; ; attempt++) {
    const channel = channels.pick() ?? (await channels.waitForOne(holdUntil, call.signal));
    if (channel === undefined) throw noConnection(channels);
    try {
      const answer = await channel.unaryCall(call.rpc.path, call.metadata, request, options);
      return { message: answer.payload, headers: withContentType(answer.headers) };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const again = isSafeToResend(error) && error.code === GrpcStatus.UNAVAILABLE && attempt < tries;
      if (!again) throw toUpstreamError(error, options.deadlineAt);
    }
  }
}

async function openStream(channels: ReadyChannels, call: UpstreamCall): Promise<UpstreamStream> {
  const channel = channels.pick() ?? (await channels.waitForOne(performance.now(), call.signal));
  if (channel === undefined) throw noConnection(channels);
  return new ChannelStream(channel, {
    path: call.rpc.path,
    metadata: call.metadata,
    options: toCallOptions(call),
  });
}

function toCallOptions(call: UpstreamCall): CallOptions {
  const { timeoutMs, signal } = call;
  return timeoutMs === undefined ? { signal } : { signal, deadlineAt: performance.now() + timeoutMs };
}

function noConnection(channels: ReadyChannels): UpstreamError {
  const message = `no connection to etcd: ${channels.problem() ?? "lost while waiting"}`;
  return new UpstreamError({ status: GrpcStatus.UNAVAILABLE, message, origin: "local" });
}

function createChannels(options: ChannelUpstreamOptions, maxConnections: number): ReadyChannels {
  const { endpoints, tls, logger, counters } = options;
  return new ReadyChannels((onState) =>
    endpoints.map((endpoint) => {
      const secure = isTlsEndpoint(endpoint) || (endpoint.scheme === "any" && tls !== undefined);
      const address = endpointAddress(endpoint);
      return new Channel({
        endpoint: isUnixEndpoint(endpoint)
          ? { path: endpoint.host }
          : { host: endpoint.host, port: endpoint.port },
        ...(secure ? { tls: { ...tls } } : {}),
        ...(counters === undefined ? {} : { counters }),
        maxConnections,
        keepalive,
        onState: (state, channel) => {
          logger.debug("upstream connection changed", { endpoint: address, state: state.t });
          if (state.t === "transientFailure") {
            logger.warn("no connection to upstream", { endpoint: address, error: state.message });
          }
          // Always connected: readiness tells the truth, and a member that came back is used again.
          if (state.t === "idle") queueMicrotask(() => channel.connect());
          onState();
        },
      });
    }),
  );
}
