import type { ServerResponse } from "node:http";
import type { Metrics } from "@etcd-edge/runtime";

/** Counts what goes through the JSON door. */
export interface DoorMetrics {
  /** Counts the request when it is answered or broken off, and its time in flight. */
  observe(route: string, response: ServerResponse): void;
  /** A request that was refused for its Host header. */
  hostRejected(): void;
  /** A client met a limit. */
  refused(reason: "rate" | "streams" | "connections" | "write-timeout"): void;
  /** Where the number of open WebSockets is read. */
  countWebSockets(read: () => number): void;
  /** Where the number of open connections is read. */
  countConnections(read: () => number): void;
}

export function createDoorMetrics(metrics: Metrics): DoorMetrics {
  const requests = metrics.counter({
    name: "etcd_edge_http_requests_total",
    help: "Requests of the JSON door by route and HTTP status.",
    labelNames: ["route", "status"],
  });
  const rejected = metrics.counter({
    name: "etcd_edge_http_host_rejections_total",
    help: "Requests refused because of their Host header.",
  });
  const inFlight = metrics.gauge({
    name: "etcd_edge_http_requests_in_flight",
    help: "Requests of the JSON door that are not answered yet, streams included.",
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
    observe: (route, response) => {
      inFlight.inc();
      response.once("close", () => {
        inFlight.dec();
        requests.inc({ route, status: response.headersSent ? String(response.statusCode) : "none" });
      });
    },
    hostRejected: () => rejected.inc(),
  };
}
