import { findShareable, type ReadFailure, type ReadHub, type ReadResult } from "@etcd-edge/coalesce";
import { GrpcStatus } from "@etcd-edge/proto";
import type { Clock } from "@etcd-edge/runtime";
import { type Metadata, type UnaryAnswer, type Upstream, UpstreamError } from "./upstream.ts";

const answerHeaders: Metadata = ["content-type", "application/grpc"];

/**
 * An upstream whose linearizable reads share what they cost etcd: equal ones are one, small ones travel together, and none gets
 * an answer that began before it came (rules 27, 28). What cannot be shared goes to `inner`, as does everything else.
 */
export function createSharedReads(
  inner: Upstream,
  { hub, clock }: { readonly hub: Pick<ReadHub<unknown>, "read">; readonly clock: Clock },
): Upstream {
  return {
    open: (call) => inner.open(call),
    unary: (call, request) => {
      const shape = call.rpc.path === "/etcdserverpb.KV/Range" ? findShareable(request) : undefined;
      const scope = shape === undefined ? undefined : scopeOf(call.metadata);
      if (shape === undefined || scope === undefined) return inner.unary(call, request);
      return new Promise<UnaryAnswer>((resolve, reject) => {
        const { timeoutMs, signal } = call;
        const deadlineMs = timeoutMs === undefined ? undefined : clock.nowMs() + timeoutMs;
        const finish = (act: () => void): void => {
          timer?.stop();
          signal.removeEventListener("abort", onGone);
          act();
        };
        const settle = (result: ReadResult): void =>
          finish(() => {
            if (result.t === "answered") resolve(toAnswer(result.head, result.body));
            else if (result.t === "failed") reject(toError(result.failure));
            else inner.unary(call, request).then(resolve, reject);
          });
        const leave = hub.read(scope, shape, { request, deadlineMs, settle });
        const onGone = (): void => {
          leave();
          finish(() => reject(ended(GrpcStatus.CANCELLED, "context canceled")));
        };
        const timer =
          timeoutMs === undefined
            ? undefined
            : clock.setTimer(timeoutMs, () => {
                leave();
                finish(() => reject(ended(GrpcStatus.DEADLINE_EXCEEDED, "context deadline exceeded")));
              });
        signal.addEventListener("abort", onGone, { once: true });
        if (signal.aborted) onGone();
      });
    },
  };
}

/** Nothing for a call that has metadata of its own: it would be lost in sharing. */
function scopeOf(metadata: Metadata): { credential: string | undefined; hasLeader: boolean } | undefined {
  let credential: string | undefined;
  let hasLeader = false;
  for (let i = 0; i < metadata.length; i += 2) {
    const name = metadata[i];
    if (name === "token" || name === "authorization") credential = metadata[i + 1];
    else if (name === "hasleader") hasLeader = metadata[i + 1] === "true";
    else return undefined;
  }
  return { credential, hasLeader };
}

function toAnswer(head: Uint8Array, body: Uint8Array): UnaryAnswer {
  return { message: body.length === 0 ? head : Buffer.concat([head, body]), headers: answerHeaders };
}

function toError({ code, message }: ReadFailure): UpstreamError {
  return new UpstreamError({ status: code, message, origin: "server" });
}

function ended(status: number, message: string): UpstreamError {
  return new UpstreamError({ status, message, origin: "local" });
}
