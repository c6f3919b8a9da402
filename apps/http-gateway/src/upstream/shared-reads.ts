import { findShareable, type ReadFailure, type ReadResult, type Reads } from "@etcd-edge/coalesce";
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
  { hub, clock }: { readonly hub: Reads; readonly clock: Clock },
): Upstream {
  const toAnswer = createAnswers();
  return {
    open: (call) => inner.open(call),
    unary: (call, request) => {
      const shape = call.rpc.path === "/etcdserverpb.KV/Range" ? findShareable(request) : undefined;
      const scope = shape === undefined ? undefined : scopeOf(call.metadata);
      if (shape === undefined || scope === undefined) return inner.unary(call, request);
      return new Promise<UnaryAnswer>((resolve, reject) => {
        const { timeoutMs, presence } = call;
        const deadlineMs = timeoutMs === undefined ? undefined : clock.nowMs() + timeoutMs;
        const finish = (act: () => void): void => {
          timer?.stop();
          stopListening();
          act();
        };
        const settle = (result: ReadResult): void =>
          finish(() => {
            if (result.t === "answered") resolve(toAnswer(result.head, result.body));
            else if (result.t === "failed") reject(toError(result.failure));
            else inner.unary(call, request).then(resolve, reject);
          });
        let stopListening = (): void => {};
        const leave = hub.read(scope, shape, { request, deadlineMs, settle });
        const timer =
          timeoutMs === undefined
            ? undefined
            : clock.setTimer(timeoutMs, () => {
                leave();
                finish(() => reject(ended(GrpcStatus.DEADLINE_EXCEEDED, "context deadline exceeded")));
              });
        stopListening = presence.onGone(() => {
          leave();
          finish(() => reject(ended(GrpcStatus.CANCELLED, "context canceled")));
        });
      });
    },
  };
}

interface Scope {
  readonly credential: string | undefined;
  readonly hasLeader: boolean;
}

/** The same object for all: the hub knows it again without looking. */
const anonymous: Scope = { credential: undefined, hasLeader: false };

/** Nothing for a call that has metadata of its own: it would be lost in sharing. */
function scopeOf(metadata: Metadata): Scope | undefined {
  if (metadata.length === 0) return anonymous;
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

/** Those who read the same get it one after the other: what was put together last is kept. */
function createAnswers(): (head: Uint8Array, body: Uint8Array) => UnaryAnswer {
  let last:
    | { readonly head: Uint8Array; readonly body: Uint8Array; readonly answer: UnaryAnswer }
    | undefined;
  return (head, body) => {
    if (last !== undefined && last.head === head && last.body === body) return last.answer;
    const message = head.length === 0 ? body : body.length === 0 ? head : Buffer.concat([head, body]);
    const answer = { message, headers: answerHeaders };
    last = { head, body, answer };
    return answer;
  };
}

function toError({ code, message }: ReadFailure): UpstreamError {
  return new UpstreamError({ status: code, message, origin: "server" });
}

function ended(status: number, message: string): UpstreamError {
  return new UpstreamError({ status, message, origin: "local" });
}
