import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { get as getSecurely } from "node:https";
import { text } from "node:stream/consumers";
import { type Endpoint, endpointAddress, isTlsEndpoint, isUnixEndpoint } from "@etcd-edge/endpoints";
import type { ClientTls, HttpHandler } from "@etcd-edge/runtime";

const timeoutMs = 5_000;

/**
 * `/metrics` as etcd's proxy answers it: the metrics of one etcd endpoint. Which one is asked is up to `pick`, at each
 * scrape, so that a member that is gone is not asked for ever.
 * A failed fetch is answered 500 by the listener.
 */
export function createEtcdMetricsHandler(options: {
  pick: () => Endpoint | undefined;
  tls: ClientTls | undefined;
}): HttpHandler {
  return async (_request, response) => {
    const endpoint = options.pick();
    if (endpoint === undefined) throw new Error("no etcd endpoint to fetch metrics from");
    const body = await text(await fetchMetrics(endpoint, options.tls));
    response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(body);
  };
}

async function fetchMetrics(endpoint: Endpoint, tls: ClientTls | undefined): Promise<IncomingMessage> {
  const secure = isTlsEndpoint(endpoint) || (endpoint.scheme === "any" && tls !== undefined);
  const target = isUnixEndpoint(endpoint)
    ? { socketPath: endpoint.host, host: "localhost" }
    : { host: endpoint.host, port: endpoint.port };
  const options = { ...target, path: "/metrics", agent: false, timeout: timeoutMs } as const;
  const request = secure ? getSecurely({ ...options, ...tls?.current() }) : get(options);
  request.once("timeout", () =>
    request.destroy(new Error(`${endpointAddress(endpoint)} did not answer in time`)),
  );
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}
