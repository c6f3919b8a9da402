import type { LeaseBook } from "@etcd-edge/coalesce";
import type { Metrics } from "@etcd-edge/runtime";
import { counterHelp, type TransportCounters } from "@etcd-edge/transport";
import type { HealthCounts } from "./http/health.ts";
import type { CallCounters, MethodCounts } from "./relay/call-counters.ts";

/** Names of gRPC codes as go-grpc-prometheus writes them. */
const codeNames: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

const labelNames = ["grpc_type", "grpc_service", "grpc_method"];

/** The `grpc_server_*` metrics of etcd's proxy. A method appears with its first call. */
export function exposeCallCounters(metrics: Metrics, counters: CallCounters): void {
  const expose = (name: string, help: string, read: (counts: MethodCounts) => number): void =>
    metrics.observedCounters({
      name,
      help,
      labelNames,
      read: () => [...counters.all()].map((counts) => ({ labels: labelsOf(counts), value: read(counts) })),
    });
  expose(
    "grpc_server_started_total",
    "Total number of RPCs started on the server.",
    (counts) => counts.started,
  );
  expose(
    "grpc_server_msg_received_total",
    "Total number of RPC stream messages received on the server.",
    (counts) => counts.received,
  );
  expose(
    "grpc_server_msg_sent_total",
    "Total number of gRPC stream messages sent by the server.",
    (counts) => counts.sent,
  );
  metrics.observedCounters({
    name: "grpc_server_handled_total",
    help: "Total number of RPCs completed on the server, regardless of success or failure.",
    labelNames: [...labelNames, "grpc_code"],
    read: () =>
      [...counters.all()].flatMap((counts) =>
        [...counts.handled].map(([code, value]) => ({
          labels: { ...labelsOf(counts), grpc_code: codeNames[code] ?? String(code) },
          value,
        })),
      ),
  });
}

function labelsOf(counts: MethodCounts): Record<string, string> {
  return { grpc_type: counts.type, grpc_service: counts.service, grpc_method: counts.method };
}

/** What the HTTP/2 layer counts, on both sides of the proxy: `etcd_edge_transport_*_total{side}`. */
export function exposeTransportCounters(
  metrics: Metrics,
  sides: { readonly client: TransportCounters; readonly etcd: TransportCounters },
): void {
  for (const key of Object.keys(counterHelp) as (keyof TransportCounters)[]) {
    metrics.observedCounters({
      name: `etcd_edge_transport_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`,
      help: counterHelp[key],
      labelNames: ["side"],
      read: () => [
        { labels: { side: "client" }, value: sides.client[key] },
        { labels: { side: "etcd" }, value: sides.etcd[key] },
      ],
    });
  }
}

/** What the lease book holds. */
export function exposeLeaseBook(metrics: Metrics, book: LeaseBook): void {
  const expose = (name: keyof ReturnType<LeaseBook["counts"]>, help: string): void => {
    metrics.gauge({
      name: `etcd_edge_lease_${name}`,
      help,
      collect: (gauge) => gauge.set(book.counts()[name]),
    });
  };
  expose("leases", "Leases whose last renewal is remembered.");
  expose("pending", "Renewals that wait for an answer of etcd.");
  expose("streams", "Renewal streams that are open toward etcd.");
  expose("scopes", "Credentials under which leases are renewed.");
  metrics.observedCounters({
    name: "etcd_edge_lease_renewals_total",
    help: "Renewals that clients asked for, by who answered: etcd for each alone, or one answer of etcd for several.",
    labelNames: ["answered"],
    read: () => {
      const { own, shared } = book.totals;
      return [
        { labels: { answered: "alone" }, value: own },
        { labels: { answered: "shared" }, value: shared },
      ];
    },
  });
  metrics.observedCounter({
    name: "etcd_edge_lease_stuck_streams_total",
    help: "Renewal streams that were left because they did not answer in time.",
    read: () => book.totals.stuckStreams,
  });
}

/** What etcd's proxy counts of its sharing. Names and meanings are etcd's. */
export interface SharingCounts {
  /** Watchers that share an upstream watch with another now. */
  readonly watchersCoalescing: number;
  /** Responses that were not asked of etcd because several watchers share one. */
  readonly eventsCoalescing: number;
}

/** The five `etcd_grpc_proxy_*` metrics under etcd's names and types (two of its counts are gauges). */
export function exposeSharing(
  metrics: Metrics,
  read: () => SharingCounts,
  cache: () => { readonly keys: number; readonly hits: number; readonly misses: number },
): void {
  const gauge = (name: string, help: string, value: () => number): void => {
    metrics.gauge({ name: `etcd_grpc_proxy_${name}`, help, collect: (row) => row.set(value()) });
  };
  gauge(
    "watchers_coalescing_total",
    "Total number of current watchers coalescing",
    () => read().watchersCoalescing,
  );
  gauge("cache_keys_total", "Total number of keys/ranges cached", () => cache().keys);
  gauge("cache_hits_total", "Total number of cache hits", () => cache().hits);
  gauge("cache_misses_total", "Total number of cache misses", () => cache().misses);
  metrics.observedCounter({
    name: "etcd_grpc_proxy_events_coalescing_total",
    help: "Total number of events coalescing",
    read: () => read().eventsCoalescing,
  });
}

/** How often `/health` and `/proxy/health` were answered, under etcd's names. */
export function exposeHealth(metrics: Metrics, counts: HealthCounts): void {
  metrics.observedCounter({
    name: "etcd_server_health_success",
    help: "The total number of successful health checks",
    read: () => counts.successes,
  });
  metrics.observedCounter({
    name: "etcd_server_health_failures",
    help: "The total number of failed health checks",
    read: () => counts.failures,
  });
}
