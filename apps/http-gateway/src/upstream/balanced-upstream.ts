import {
  type ChannelBalancer,
  foreignCluster,
  type Upstream as UpstreamEndpoint,
} from "@etcd-edge/endpoints";
import { GrpcStatus, type RpcPath } from "@etcd-edge/proto";
import { CallError, type CallOptions, type Channel, isSafeToResend } from "@etcd-edge/transport";
import { toUpstreamError, withContentType } from "./channel-errors.ts";
import { ChannelStream } from "./channel-stream.ts";
import {
  type UnaryAnswer,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamStream,
} from "./upstream.ts";

/** Streams that carry as much as can be had, and end: they are no company for watches. */
const bulkStreams: ReadonlySet<RpcPath> = new Set([
  "/etcdserverpb.KV/RangeStream",
  "/etcdserverpb.Maintenance/Snapshot",
]);

/** How long a read waits for an endpoint when there is none (rule 42). Writes and streams do not wait. */
const readHoldMs = 2_000;

/**
 * Calls to whom the balancer picks. Streams that last have connections of their own, so that no large answer holds up a watch. A
 * call goes to another endpoint only where the first provably did not look at it (rule 39).
 */
export function createBalancedUpstream(balancer: ChannelBalancer): Upstream {
  return {
    unary: (call, request) => callUnary(balancer, call, request),
    open: (call) => openStream(balancer, call),
  };
}

async function callUnary(
  balancer: ChannelBalancer,
  call: UpstreamCall,
  request: Uint8Array,
): Promise<UnaryAnswer> {
  const options = toCallOptions(call);
  const holdUntil = performance.now() + (call.rpc.path === "/etcdserverpb.KV/Range" ? readHoldMs : 0);
  let tried: Set<UpstreamEndpoint> | undefined;
  let failure: CallError | undefined;
  for (;;) {
    const endpoint = balancer.pick(tried);
    if (endpoint === undefined) {
      if (call.presence.isGone || performance.now() >= holdUntil) throw noEndpoint(failure);
      await balancerChange(balancer, { untilMs: holdUntil, signal: call.presence.signal });
      tried = undefined;
      continue;
    }
    try {
      const answer = await endpoint.calls.unaryCall(call.rpc.path, call.metadata, request, options);
      if (!balancer.believes(endpoint, answer.payload)) {
        const { code, message } = foreignCluster;
        throw new UpstreamError({ status: code, message, origin: "local" });
      }
      return { message: answer.payload, headers: withContentType(answer.headers) };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.code !== GrpcStatus.UNAVAILABLE || !isSafeToResend(error)) {
        throw toUpstreamError(error, options.deadlineAt);
      }
      failure = error;
      tried ??= new Set();
      tried.add(endpoint);
    }
  }
}

async function openStream(balancer: ChannelBalancer, call: UpstreamCall): Promise<UpstreamStream> {
  const tried = new Set<UpstreamEndpoint>();
  const use = bulkStreams.has(call.rpc.path) ? "calls" : "streams";
  const nextChannel = (): Channel | undefined => {
    const endpoint = balancer.pick(tried);
    if (endpoint !== undefined) tried.add(endpoint);
    return endpoint?.[use];
  };
  const first = nextChannel();
  if (first === undefined) throw noEndpoint(undefined);
  const { metadata, rpc } = call;
  return new ChannelStream(first, { path: rpc.path, metadata, options: toCallOptions(call), nextChannel });
}

function toCallOptions(call: UpstreamCall): CallOptions {
  const { timeoutMs, presence } = call;
  const { signal } = presence;
  return timeoutMs === undefined ? { signal } : { signal, deadlineAt: performance.now() + timeoutMs };
}

function noEndpoint(failure: CallError | undefined): UpstreamError {
  const message = `no etcd endpoint is available${failure === undefined ? "" : `: ${failure.message}`}`;
  return new UpstreamError({ status: GrpcStatus.UNAVAILABLE, message, origin: "local" });
}

/** Waits until the balancer's mind about its endpoints changes, or time or the call is over. */
function balancerChange(
  balancer: ChannelBalancer,
  { untilMs, signal }: { untilMs: number; signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stopListening();
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const stopListening = balancer.onChange(done);
    const timer = setTimeout(done, Math.max(0, untilMs - performance.now()));
    signal.addEventListener("abort", done);
  });
}
