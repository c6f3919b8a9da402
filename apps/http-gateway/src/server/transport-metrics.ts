import type { Metrics } from "@etcd-edge/runtime";
import { counterHelp, type TransportCounters } from "@etcd-edge/transport";

/** What the HTTP/2 layer counts toward etcd: `etcd_edge_transport_*_total{side="etcd"}`, named as in grpc-proxy. */
export function exposeTransportCounters(metrics: Metrics, counters: TransportCounters): void {
  for (const key of Object.keys(counterHelp) as (keyof TransportCounters)[]) {
    metrics.observedCounters({
      name: `etcd_edge_transport_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`,
      help: counterHelp[key],
      labelNames: ["side"],
      read: () => [{ labels: { side: "etcd" }, value: counters[key] }],
    });
  }
}
