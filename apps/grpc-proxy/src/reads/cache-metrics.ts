import type { Metrics } from "@etcd-edge/runtime";
import type { OpenStore } from "./open-store.ts";
import type { ReadService } from "./read-service.ts";

/** What is answered from memory and what is kept there: `etcd_edge_cache_*`. */
export function exposeCache(metrics: Metrics, reads: ReadService): void {
  const { cache, counts: shared } = reads;
  const { counts, held } = cache;
  metrics.observedCounters({
    name: "etcd_edge_cache_answers_total",
    help: "Reads that were answered without asking etcd for their data, by source: a held range (held), the same after a quorum had said how far the store is (local), an answer kept at a revision (kept), one of --cache-max-age (aged), an equal one on its way (joined), Redis (stored).",
    labelNames: ["source"],
    read: () => [
      { labels: { source: "held" }, value: counts.held },
      { labels: { source: "local" }, value: shared.local },
      { labels: { source: "kept" }, value: counts.kept },
      { labels: { source: "aged" }, value: counts.aged },
      { labels: { source: "joined" }, value: counts.joined },
      { labels: { source: "stored" }, value: counts.stored },
    ],
  });
  const counter = (name: string, help: string, read: () => number): void =>
    metrics.observedCounter({ name: `etcd_edge_cache_${name}_total`, help, read });
  counter(
    "upstream_reads_saved",
    "Reads that were answered, less the requests that etcd got for them: what sharing and memory have saved.",
    () => Math.max(0, shared.reads + counts.held + counts.kept + counts.aged + counts.joined - shared.sent),
  );
  counter("misses", "Reads that need no quorum and were asked of etcd.", () => counts.missed);
  counter(
    "below_floor",
    "Of those, reads for which what is known is older than what their client has seen.",
    () => counts.belowFloor,
  );
  counter(
    "compacted",
    "Reads that were refused because their revision is compacted.",
    () => counts.compacted,
  );
  counter("held_opened", "Ranges that were taken to be held.", () => held.counts.opened);
  metrics.observedCounters({
    name: "etcd_edge_cache_held_ended_total",
    help: "Ranges that are held no more, by reason.",
    labelNames: ["reason"],
    read: () => Object.entries(held.counts.ended).map(([reason, value]) => ({ labels: { reason }, value })),
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    metrics.gauge({ name: `etcd_edge_cache_${name}`, help, collect: (row) => row.set(read()) });
  };
  gauge("held_ranges", "Ranges that are held.", () => held.size);
  gauge("held_bytes", "Bytes of the keys and values of those.", () => held.bytes);
  gauge("entries", "Answers that are kept.", () => cache.size.entries);
  gauge("bytes", "Bytes of those.", () => cache.size.bytes);
  gauge(
    "staleness_bound_seconds",
    "How old answers from held ranges may be at most: since a quorum last was no further than the one that is furthest behind.",
    () => held.ageMs / 1_000,
  );
}

/** What Redis is good for: `etcd_edge_store_*`. */
export function exposeStore(metrics: Metrics, store: OpenStore): void {
  const { counts } = store.guarded;
  metrics.observedCounters({
    name: "etcd_edge_store_lookups_total",
    help: "Look-ups in Redis, by outcome; late ones took longer than --redis-timeout, skipped ones were not sent because several were late or failed.",
    labelNames: ["outcome"],
    read: () =>
      (["hits", "misses", "late", "failed", "skipped"] as const).map((outcome) => ({
        labels: { outcome },
        value: counts[outcome],
      })),
  });
  metrics.observedCounters({
    name: "etcd_edge_store_writes_total",
    help: "Answers for Redis, by what became of them.",
    labelNames: ["outcome"],
    read: () => [
      { labels: { outcome: "sent" }, value: counts.writes },
      { labels: { outcome: "dropped" }, value: counts.dropped },
    ],
  });
  metrics.observedCounter({
    name: "etcd_edge_store_rejected_entries_total",
    help: "Entries that were ignored because of their seal or their format.",
    read: () => (store.sealed?.rejected ?? 0) + store.answers.foreign,
  });
  metrics.gauge({
    name: "etcd_edge_store_connected",
    help: "1 while Redis is connected.",
    collect: (row) => row.set(store.redis.state === "connected" ? 1 : 0),
  });
}

/** The same in the words of etcd's own proxy: what is kept, and how often it served a read that needs no quorum. */
export function summariseCache(reads: ReadService | undefined): {
  keys: number;
  hits: number;
  misses: number;
} {
  if (reads === undefined) return { keys: 0, hits: 0, misses: 0 };
  const { cache } = reads;
  const { held, kept, aged, joined, missed } = cache.counts;
  let keys = cache.size.entries;
  for (const range of cache.held.all()) keys += range.keys;
  return { keys, hits: held + kept + aged + joined, misses: missed };
}
