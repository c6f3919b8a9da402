import type { UpstreamWatchEnd, WatchSource } from "@etcd-edge/coalesce";
import { isStaleTokenText } from "@etcd-edge/identity";
import { StatusCode } from "@etcd-edge/transport";

/**
 * Upstream watches under an identity of ours, whose token etcd may have forgotten: that is no refusal but a stream that was
 * lost. A feed asks a quorum before it opens another, and that question fetches another token.
 */
export function renewingSource(source: WatchSource): WatchSource {
  return {
    open: (request, sink) =>
      source.open(request, {
        onCreated: (header) => sink.onCreated(header),
        onEvents: (events, isFragment, header) => sink.onEvents(events, isFragment, header),
        onProgress: (revision) => sink.onProgress(revision),
        onEnd: (end) => sink.onEnd(toLoss(end)),
      }),
  };
}

function toLoss(end: UpstreamWatchEnd): UpstreamWatchEnd {
  if (end.t !== "refused" || !isStaleTokenText(end.reason)) return end;
  return { t: "lost", code: StatusCode.unauthenticated, message: end.reason };
}
