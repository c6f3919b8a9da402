import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { ClientTls, HttpHandler, Metrics } from "@etcd-edge/runtime";
import { askChannel } from "./ask-channel.ts";
import { createEtcdMetricsHandler } from "./etcd-metrics.ts";
import { createHealthHandler, createReadCheck, type HealthCheck, type HealthCounts } from "./health.ts";

/**
 * HTTP/1.1 on the client port, and on `--metrics-addr`: `/health` and `/metrics` as etcd's proxy has them, the latter
 * etcd's own; `/proxy/health` and `/proxy/metrics` are about this process.
 */
export function createRoutes(options: {
  balancer: ChannelBalancer;
  clientTls: ClientTls | undefined;
  metrics: Metrics;
  /** `--namespace`: the key that health asks for lies in it. */
  namespace: string;
  /** Answers `/proxy/health`. */
  selfCheck: HealthCheck;
  counts: HealthCounts;
}): Map<string, HttpHandler> {
  const { balancer, clientTls, metrics, counts } = options;
  const readCheck = createReadCheck(
    askChannel(() => balancer.pick()?.calls),
    options.namespace,
  );
  return new Map<string, HttpHandler>([
    ["/health", createHealthHandler(readCheck, counts)],
    ["/metrics", createEtcdMetricsHandler({ pick: () => balancer.pick()?.endpoint, tls: clientTls })],
    ["/proxy/health", createHealthHandler(options.selfCheck, counts)],
    [
      "/proxy/metrics",
      async (_request, response) => {
        const { contentType, body } = await metrics.render();
        response.writeHead(200, { "content-type": contentType }).end(body);
      },
    ],
  ]);
}
