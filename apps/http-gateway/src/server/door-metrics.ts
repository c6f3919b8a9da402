import type { Metrics } from "@etcd-edge/runtime";

/** Counts what goes through the JSON door. */
export interface DoorMetrics {
  /** A request came. @returns what to call with the status when it is answered, with nothing when it is broken off */
  observe(route: string): (status: number | undefined) => void;
  /** Where what the fast lane did is read. */
  countLane(read: () => LaneCounts): void;
  /** A request that was refused for its Host header. */
  hostRejected(): void;
  /** A client met a limit. */
  refused(reason: "rate" | "streams" | "connections" | "write-timeout"): void;
  /** Where the number of open WebSockets is read. */
  countWebSockets(read: () => number): void;
  /** Where the number of open connections is read. */
  countConnections(read: () => number): void;
}

/** What became of requests and connections in front of node:http. */
interface LaneCounts {
  /** Requests that were answered there. */
  readonly answered: number;
  /** Connections that went on to node:http. */
  readonly handedOver: number;
}

/** Of a request whose client left before it was answered. */
const noStatus = 0;

export function createDoorMetrics(metrics: Metrics): DoorMetrics {
  // Counted by hand: with labels, the client of Prometheus takes longer than everything else that is done for a request here.
  const requests = new Map<string, Map<number, number>>();
  let open = 0;
  metrics.observedCounters({
    name: "etcd_edge_http_requests_total",
    help: "Requests of the JSON door by route and HTTP status.",
    labelNames: ["route", "status"],
    read: () =>
      [...requests].flatMap(([route, counts]) =>
        [...counts].map(([status, value]) => ({
          labels: { route, status: status === noStatus ? "none" : String(status) },
          value,
        })),
      ),
  });
  const rejected = metrics.counter({
    name: "etcd_edge_http_host_rejections_total",
    help: "Requests refused because of their Host header.",
  });
  metrics.gauge({
    name: "etcd_edge_http_requests_in_flight",
    help: "Requests of the JSON door that are not answered yet, streams included.",
    collect: (gauge) => gauge.set(open),
  });
  const refusals = metrics.counter({
    name: "etcd_edge_http_refusals_total",
    help: "Clients that met a limit: requests a second, open streams, connections, or an answer that nobody read.",
    labelNames: ["reason"],
  });
  return {
    refused: (reason) => refusals.inc({ reason }),
    countConnections: (read) => {
      metrics.gauge({
        name: "etcd_edge_http_connections",
        help: "Open connections of clients.",
        collect: (gauge) => gauge.set(read()),
      });
    },
    countWebSockets: (read) => {
      metrics.gauge({
        name: "etcd_edge_websockets",
        help: "Open WebSockets.",
        collect: (gauge) => gauge.set(read()),
      });
    },
    countLane: (read) => {
      metrics.observedCounters({
        name: "etcd_edge_http_fast_lane_requests_total",
        help: "Requests that were answered without node:http.",
        labelNames: [],
        read: () => [{ labels: {}, value: read().answered }],
      });
      metrics.observedCounters({
        name: "etcd_edge_http_fast_lane_handovers_total",
        help: "Connections that node:http was given because of a request that is not plain, or did not come in one piece.",
        labelNames: [],
        read: () => [{ labels: {}, value: read().handedOver }],
      });
    },
    observe: (route) => {
      open++;
      return (status = noStatus) => {
        open--;
        let counts = requests.get(route);
        if (counts === undefined) {
          counts = new Map();
          requests.set(route, counts);
        }
        counts.set(status, (counts.get(status) ?? 0) + 1);
      };
    },
    hostRejected: () => rejected.inc(),
  };
}
