import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { ClientTls, HttpHandler, Metrics } from "@etcd-edge/runtime";
import { CallError, NO_METADATA, StatusCode } from "@etcd-edge/transport";
import { createEtcdMetricsHandler } from "./etcd-metrics.ts";
import { type AskUpstream, createHealthHandler } from "./health.ts";

/**
 * HTTP/1.1 on the client port, and on `--metrics-addr`: `/health` and `/metrics` as etcd's proxy has them, the latter
 * etcd's own; `/proxy/metrics` is about this process.
 */
export function createRoutes(options: {
  balancer: ChannelBalancer;
  clientTls: ClientTls | undefined;
  metrics: Metrics;
  /** `--namespace`: the key that health asks for lies in it. */
  namespace: string;
}): Map<string, HttpHandler> {
  const { balancer, clientTls, metrics } = options;
  const ask: AskUpstream = async (path, payload, timeoutMs) => {
    const upstream = balancer.pick();
    if (upstream === undefined)
      return { code: StatusCode.unavailable, message: "no etcd endpoint is available" };
    try {
      await upstream.calls.unaryCall(path, NO_METADATA, payload, {
        deadlineAt: performance.now() + timeoutMs,
      });
      return { code: StatusCode.ok, message: "" };
    } catch (error) {
      if (error instanceof CallError) return { code: error.code, message: error.message };
      throw error;
    }
  };
  return new Map<string, HttpHandler>([
    ["/health", createHealthHandler(ask, options.namespace)],
    ["/metrics", createEtcdMetricsHandler({ pick: () => balancer.pick()?.endpoint, tls: clientTls })],
    [
      "/proxy/metrics",
      async (_request, response) => {
        const { contentType, body } = await metrics.render();
        response.writeHead(200, { "content-type": contentType }).end(body);
      },
    ],
  ]);
}
