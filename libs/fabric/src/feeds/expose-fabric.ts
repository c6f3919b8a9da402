import type { FabricCounters, FabricReplica } from "@etcd-edge/coalesce";
import type { Metrics } from "@etcd-edge/runtime";

const counters: readonly (readonly [keyof FabricCounters, string, string])[] = [
  ["framesOut", "frames_out", "Frames of events published for replicas that follow."],
  ["frameBytesOut", "frame_bytes_out", "Bytes of those frames."],
  ["framesIn", "frames_in", "Frames of events that came from other replicas."],
  ["frameBytesIn", "frame_bytes_in", "Bytes of those frames."],
  [
    "framesStale",
    "frames_stale",
    "Frames that said nothing new: repeats, late ones, those of a second ingester.",
  ],
  [
    "framesWithheld",
    "frames_withheld",
    "Frames that were announced and not sent, for NATS would not carry them.",
  ],
  ["takeOvers", "take_overs", "Feeds taken over from an ingester that was silent or left."],
  ["handBacks", "hand_backs", "Feeds taken back by the replica that comes first for them."],
  ["yields", "yields", "Feeds given up to another ingester of the range, or of a wider one."],
  ["handOvers", "hand_overs", "Feeds handed to another replica before this one left."],
];

/** What a replica does among others: `etcd_edge_fabric_*`. */
export function exposeFabric(metrics: Metrics, { counters: counts, budget, roster }: FabricReplica): void {
  for (const [what, name, help] of counters) {
    metrics.observedCounter({ name: `etcd_edge_fabric_${name}_total`, help, read: () => counts[what] });
  }
  metrics.observedCounters({
    name: "etcd_edge_fabric_repairs_total",
    help: "Gaps between frames, by what closed them: a frame that was late, the ingester's log, or etcd.",
    labelNames: ["rung"],
    read: () => [
      { labels: { rung: "held" }, value: counts.repairsHeld },
      { labels: { rung: "log" }, value: counts.repairsLog },
      { labels: { rung: "etcd" }, value: counts.repairsEtcd },
    ],
  });
  metrics.observedCounters({
    name: "etcd_edge_fabric_ignored_messages_total",
    help: "Messages that were not believed: of another history or cluster, of a format we do not know, malformed.",
    labelNames: ["why"],
    read: () => [
      { labels: { why: "history" }, value: counts.ignoredHistory },
      { labels: { why: "version" }, value: counts.ignoredVersion },
      { labels: { why: "malformed" }, value: counts.ignoredMalformed },
    ],
  });
  metrics.gauge({
    name: "etcd_edge_fabric_replicas",
    help: "Other replicas that were heard lately.",
    collect: (gauge) => gauge.set(roster.size),
  });
  metrics.gauge({
    name: "etcd_edge_fabric_reopenings_waiting",
    help: "Watches that wait for their turn to be opened at etcd again.",
    collect: (gauge) => gauge.set(budget.waiting.count),
  });
  metrics.gauge({
    name: "etcd_edge_fabric_reopening_wait_seconds",
    help: "For how long the first of those has waited.",
    collect: (gauge) => gauge.set(budget.waiting.longestMs / 1000),
  });
  metrics.observedCounter({
    name: "etcd_edge_fabric_reopenings_refused_total",
    help: "Watches whose turn did not come in time; they come again.",
    read: () => budget.refused,
  });
}
