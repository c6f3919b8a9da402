import type { Feed } from "@etcd-edge/coalesce";
import type { Metrics } from "@etcd-edge/runtime";
import type { WatchService } from "./watch-service.ts";

/** What watches cost and how far they are: `etcd_edge_watch_*`. */
export function exposeWatches(metrics: Metrics, watches: WatchService): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    metrics.gauge({ name: `etcd_edge_watch_${name}`, help, collect: (one) => one.set(read()) });
  };
  const counter = (name: string, help: string, read: () => number): void =>
    metrics.observedCounter({ name: `etcd_edge_watch_${name}_total`, help, read });
  gauge("client_watches", "Watches of clients.", () => watches.total.watches);
  gauge("client_streams", "Watch streams of clients.", () =>
    sum(watches.scopes(), ({ sessions }) => sessions.size),
  );
  gauge("feeds", "Watches at etcd that clients share.", () => count(watches.feeds(), isShared));
  metrics.gauge({
    name: "etcd_edge_fabric_feeds",
    help: "Feeds that clients share, by where their events come from: a watch of this replica at etcd, or frames of another.",
    labelNames: ["role"],
    collect: (one) => {
      one.set(
        { role: "ingesting" },
        count(watches.feeds(), (feed) => isShared(feed) && feed.via === "etcd"),
      );
      one.set(
        { role: "following" },
        count(watches.feeds(), (feed) => isShared(feed) && feed.via === "fabric"),
      );
    },
  });
  gauge("catch_ups", "Watches at etcd for clients that are behind.", () =>
    count(watches.feeds(), (feed) => feed.isCatchUp),
  );
  gauge("log_bytes", "Bytes of events kept for watchers that are behind.", () => watches.budget.totalBytes);
  gauge("lag_revisions", "Revisions by which the feed that is furthest behind is behind the store.", () => {
    let most = 0;
    for (const { hub } of watches.scopes()) {
      for (const feed of hub.feeds()) {
        if (!feed.isCatchUp) most = Math.max(most, Number(hub.history.known - feed.log.head));
      }
    }
    return most;
  });
  gauge(
    "lag_seconds",
    "Seconds for which the store has been ahead of the feed that is furthest behind.",
    () => {
      let most = 0;
      for (const { hub } of watches.scopes()) most = Math.max(most, hub.lagMs);
      return most / 1000;
    },
  );
  gauge("parked_streams", "Client streams that do not take what there is for them.", () => {
    return sum(
      watches.scopes(),
      ({ sessions, hub }) =>
        count(sessions.keys(), (one) => one.fullSince !== undefined) +
        sum(hub.lanes(), ({ isResting, size }) => (isResting ? 0 : size)),
    );
  });
  counter("events_in", "Events that etcd sent.", () => watches.counted("eventsIn"));
  counter("catch_ups_opened", "Watches opened at etcd for clients that were behind.", () =>
    watches.counted("catchUpsOpened"),
  );
  counter("feeds_lost", "Watches at etcd that ended without being over.", () => watches.counted("feedsLost"));
  counter("resumes", "Watches opened at etcd to go on where another one ended.", () =>
    watches.counted("resumes"),
  );
  counter("upstream_creates", "Watches asked of etcd: feeds, catch-ups, and whatever goes on or moves.", () =>
    watches.counted("upstreamCreates"),
  );
  counter("feeds_moved", "Watches at etcd moved from a member that was behind.", () =>
    watches.counted("feedsMoved"),
  );
  counter("events_out", "Events sent to clients.", () => watches.counters.eventsOut);
  counter(
    "spread_moves",
    "Watches at etcd moved to another member to spread them.",
    () => watches.spreadMoves,
  );
  counter("creates_refused", "Watches refused for a limit.", () => watches.counters.createsRefused);
  counter("stalled_streams", "Client streams ended because nobody read them.", () => watches.stalledStreams);
}

function isShared(feed: Feed): boolean {
  return !feed.isCatchUp;
}

function sum<T>(items: Iterable<T>, of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}

function count<T>(items: Iterable<T>, isCounted: (item: T) => boolean): number {
  return sum(items, (item) => (isCounted(item) ? 1 : 0));
}
