import type { ReadCounts } from "@etcd-edge/coalesce";
import type { Metrics } from "@etcd-edge/runtime";

/** Reads under an identity of ours. */
export interface UserReadCounts {
  readonly shared: number;
  readonly refusals: number;
}

/**
 * What sharing saves: `etcd_edge_reads_*`. Reads that are not shared at all are in none of them.
 * @param underUser nothing where there is no identity of ours to share under
 */
export function exposeReads(
  metrics: Metrics,
  counts: ReadCounts,
  underUser: UserReadCounts | undefined,
): void {
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
  counter(
    "as_user",
    "Reads that went, or were answered, under --user, because etcd lets their clients read the same.",
    () => underUser?.shared ?? 0,
  );
  counter(
    "as_user_refused",
    "Of those, reads that etcd refused --user: they were asked again as their clients.",
    () => underUser?.refusals ?? 0,
  );
  counter("aside", "Reads that had to be relayed by themselves after all.", () => counts.aside);
}
