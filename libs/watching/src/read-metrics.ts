import type { ReadCounts } from "@etcd-edge/coalesce";
import type { Metrics } from "@etcd-edge/runtime";

/** What sharing saves: `etcd_edge_reads_*`. Reads that are not shared at all are in none of them. */
export function exposeReads(metrics: Metrics, counts: ReadCounts): void {
  const counter = (name: string, help: string, read: () => number): void =>
    metrics.observedCounter({ name: `etcd_edge_reads_${name}_total`, help, read });
  counter("shareable", "Linearizable reads that may share what they cost.", () => counts.reads);
  counter("joined", "Of those, reads that an equal one was asked for.", () => counts.joined);
  counter("upstream", "Requests sent to etcd for them.", () => counts.sent);
  counter("batches", "Of those, transactions of several reads.", () => counts.batches);
  counter("batched", "Distinct reads that travelled in them.", () => counts.batched);
  counter(
    "fallbacks",
    "Reads that were asked alone because their transaction failed.",
    () => counts.fallbacks,
  );
  counter("aside", "Reads that had to be relayed by themselves after all.", () => counts.aside);
}
