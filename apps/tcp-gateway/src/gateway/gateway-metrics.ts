import { type Endpoint, type EndpointHealth, endpointAddress } from "@etcd-edge/endpoints";
import type { Metrics } from "@etcd-edge/runtime";

/** Why a client connection was closed without having reached an endpoint. */
export type RefusalReason =
  | "no-endpoint"
  | "limit"
  | "address-limit"
  | "proxy-header"
  | "local-failure"
  | "ended";

/** What the gateway counts. Plain numbers where bytes flow, read when somebody asks for metrics. */
export type GatewayCounters = {
  fromClients: number;
  fromUpstreams: number;
  readonly accepted: () => void;
  readonly refused: (reason: RefusalReason) => void;
  readonly dialFailed: (endpoint: Endpoint) => void;
  readonly acceptFailed: () => void;
};

/** `open` and `endpoints` are asked at each scrape. */
export function createGatewayCounters(
  metrics: Metrics,
  state: {
    readonly open: () => number;
    readonly endpoints: () => readonly { readonly endpoint: Endpoint; readonly health: EndpointHealth }[];
  },
): GatewayCounters {
  const accepted = metrics.counter({
    name: "etcd_edge_gateway_accepted_connections_total",
    help: "Client connections accepted.",
  });
  const refused = metrics.counter({
    name: "etcd_edge_gateway_refused_connections_total",
    help: "Client connections closed without an endpoint, by reason.",
    labelNames: ["reason"],
  });
  const dialFailures = metrics.counter({
    name: "etcd_edge_gateway_dial_failures_total",
    help: "Connections to an endpoint that failed, by endpoint.",
    labelNames: ["endpoint"],
  });
  const acceptFailures = metrics.counter({
    name: "etcd_edge_gateway_accept_failures_total",
    help: "Connections that could not be accepted, mostly for want of file descriptors.",
  });
  metrics.gauge({
    name: "etcd_edge_gateway_open_connections",
    help: "Client connections being served.",
    collect: (gauge) => gauge.set(state.open()),
  });
  metrics.gauge({
    name: "etcd_edge_gateway_endpoint_state",
    help: "1 for the state an endpoint is in.",
    labelNames: ["endpoint", "state"],
    collect: (gauge) => {
      gauge.reset();
      for (const { endpoint, health } of state.endpoints()) {
        gauge.set({ endpoint: endpointAddress(endpoint), state: health.t }, 1);
      }
    },
  });
  const counters: GatewayCounters = {
    fromClients: 0,
    fromUpstreams: 0,
    accepted: () => accepted.inc(),
    refused: (reason) => refused.inc({ reason }),
    dialFailed: (endpoint) => dialFailures.inc({ endpoint: endpointAddress(endpoint) }),
    acceptFailed: () => acceptFailures.inc(),
  };
  metrics.observedCounter({
    name: "etcd_edge_gateway_client_bytes_total",
    help: "Bytes read from clients.",
    read: () => counters.fromClients,
  });
  metrics.observedCounter({
    name: "etcd_edge_gateway_upstream_bytes_total",
    help: "Bytes read from endpoints.",
    read: () => counters.fromUpstreams,
  });
  return counters;
}
