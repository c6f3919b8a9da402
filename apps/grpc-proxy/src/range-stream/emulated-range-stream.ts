import type { Upstream } from "@etcd-edge/endpoints";
import { fromBinary, RangeRequestSchema, RangeResponseSchema, toBinary } from "@etcd-edge/proto";
import { CallError, type RawMetadata, StatusCode } from "@etcd-edge/transport";
import type { CallOutput, TakenOver } from "../course/call-course.ts";
import { RangePages, refuseStreaming } from "./range-pages.ts";

/** What the pages are asked with: those of the client's call. */
export interface PageCall {
  readonly upstream: Upstream;
  readonly metadata: RawMetadata;
  readonly deadlineAt: number | undefined;
  /** Others may want the same page at the same revision: answers it for all of them. Nothing where it cannot be shared. */
  readonly share?:
    | ((request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array | undefined>)
    | undefined;
}

/**
 * RangeStream where etcd has none: pages of Range, all at the revision of the first and on the member that said it lacks
 * the RPC. The next page is asked for when the client has taken the last one.
 */
export function emulateRangeStream(payload: Uint8Array, call: PageCall, out: CallOutput): TakenOver {
  const stop = new AbortController();
  let drained: (() => void) | undefined;
  const untilDrained = (): Promise<void> =>
    new Promise((resolve) => {
      drained = resolve;
    });

  const run = async (): Promise<void> => {
    await Promise.resolve(); // nothing is said from inside `start`
    const request = fromBinary(RangeRequestSchema, payload);
    const refusal = refuseStreaming(request);
    if (refusal !== undefined) {
      out.end(refusal);
      return;
    }
    const pages = new RangePages(request);
    const { metadata, deadlineAt } = call;
    const options = { signal: stop.signal, ...(deadlineAt === undefined ? {} : { deadlineAt }) };
    for (;;) {
      const asked = toBinary(RangeRequestSchema, pages.request);
      const answer =
        (await call.share?.(asked, stop.signal)) ??
        (await call.upstream.calls.unaryCall("/etcdserverpb.KV/Range", metadata, asked, options)).payload;
      if (stop.signal.aborted) return;
      const page = fromBinary(RangeResponseSchema, answer);
      const { message, isLast } = pages.take(page, answer.length);
      const hasRoom = out.send(message, call.upstream);
      if (stop.signal.aborted) return;
      if (isLast) break;
      if (!hasRoom) await untilDrained();
      if (stop.signal.aborted) return;
    }
    out.end({ code: StatusCode.ok, message: "" });
  };
  run().catch((error: unknown) => {
    if (stop.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    out.end({ code: error instanceof CallError ? error.code : StatusCode.internal, message });
  });

  return {
    onDrain: () => drained?.(),
    onCancel: () => {
      stop.abort();
      drained?.();
    },
  };
}
