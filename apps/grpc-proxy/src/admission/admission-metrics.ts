import type { Metrics } from "@etcd-edge/runtime";
import type { Admissions } from "./admissions.ts";

/** What waits for etcd: `etcd_edge_admission_*`, by kind of work. */
export function exposeAdmissions(metrics: Metrics, admissions: Admissions): void {
  for (const [work, admission] of admissions.all()) {
    metrics.gauge({
      name: `etcd_edge_admission_${work}_working`,
      help: `Requests of the kind ${work} that etcd has now.`,
      collect: (one) => one.set(admission.working),
    });
    metrics.gauge({
      name: `etcd_edge_admission_${work}_waiting`,
      help: `Requests of the kind ${work} that wait for their turn.`,
      collect: (one) => one.set(admission.waiting),
    });
    metrics.observedCounter({
      name: `etcd_edge_admission_${work}_waits_total`,
      help: `Requests of the kind ${work} that had to wait, and whose turn came.`,
      read: () => admission.waited,
    });
    metrics.observedCounter({
      name: `etcd_edge_admission_${work}_wait_seconds_total`,
      help: `How long those have waited together.`,
      read: () => admission.waitedMs / 1_000,
    });
    metrics.observedCounter({
      name: `etcd_edge_admission_${work}_turned_away_total`,
      help: `Requests of the kind ${work} that were answered RESOURCE_EXHAUSTED.`,
      read: () => admission.turnedAway,
    });
  }
}
