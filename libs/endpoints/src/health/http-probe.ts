import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { type Endpoint, isTlsEndpoint, isUnixEndpoint } from "../endpoint.ts";
import { lookupHost } from "../lookup-host.ts";
import type { TlsMaterial } from "./connect.ts";
import type { Probe } from "./probe.ts";
import { toFailure } from "./socket-probes.ts";

const maxBodyBytes = 64 * 1024;

/**
 * Asks `GET /health`, which etcd and etcd's proxies answer with `{"health":"true"}`: alive on 200 unless the body says
 * otherwise, unreachable on any other status. etcd does a quorum read for it, so a member without a leader is out.
 */
export function createHttpProbe(tls: TlsMaterial = {}, path = "/health"): Probe {
  return async (endpoint, signal) => {
    try {
      const { status, body } = await get(endpoint, { path, tls, signal });
      if (status !== 200) return { t: "unreachable", error: `${path} answered ${status}` };
      return /"health"\s*:\s*"?false/.test(body)
        ? { t: "unreachable", error: `${path} says it is not healthy` }
        : { t: "alive" };
    } catch (error) {
      return toFailure(error, signal);
    }
  };
}

function get(
  endpoint: Endpoint,
  { path, tls, signal }: { path: string; tls: TlsMaterial; signal: AbortSignal },
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const where = isUnixEndpoint(endpoint)
      ? { socketPath: endpoint.host }
      : { host: endpoint.host, port: endpoint.port, lookup: lookupHost };
    const request = isTlsEndpoint(endpoint)
      ? requestHttps({ ...where, path, agent: false, signal, rejectUnauthorized: false, ...tls })
      : requestHttp({ ...where, path, agent: false, signal });
    request.once("error", reject);
    request.once("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        if (body.length < maxBodyBytes) body += text;
      });
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.end();
  });
}
