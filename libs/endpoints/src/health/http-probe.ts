import { request as requestHttp } from "node:http";
import { type Endpoint, endpointAddress, isTlsEndpoint, isUnixEndpoint } from "../endpoint.ts";
import { type Opening, openConnection, openTlsConnection } from "./connect.ts";
import type { Probe } from "./probe.ts";
import { toFailure } from "./socket-probes.ts";

const maxBodyBytes = 64 * 1024;

/**
 * Asks `GET /health`, which etcd and etcd's proxies answer with `{"health":"true"}`: alive on 200 unless the body says
 * otherwise, unreachable on any other status. etcd does a quorum read for it, so a member without a leader is out.
 */
export function createHttpProbe(opening: Opening = {}, path = "/health"): Probe {
  return async (endpoint, signal) => {
    try {
      const { status, body } = await get(endpoint, { path, opening, signal });
      if (status !== 200) return { t: "unreachable", error: `${path} answered ${status}` };
      return /"health"\s*:\s*"?false/.test(body)
        ? { t: "unreachable", error: `${path} says it is not healthy` }
        : { t: "alive" };
    } catch (error) {
      return toFailure(error, signal);
    }
  };
}

async function get(
  endpoint: Endpoint,
  { path, opening, signal }: { path: string; opening: Opening; signal: AbortSignal },
): Promise<{ status: number; body: string }> {
  const socket = isTlsEndpoint(endpoint)
    ? await openTlsConnection(endpoint, { tls: opening, verify: false, signal, protocols: ["http/1.1"] })
    : await openConnection(endpoint, signal, opening);
  try {
    return await new Promise((resolve, reject) => {
      const headers = { host: isUnixEndpoint(endpoint) ? "localhost" : endpointAddress(endpoint) };
      const request = requestHttp({ createConnection: () => socket, path, headers, signal });
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
  } finally {
    socket.on("error", () => undefined); // nobody listens to what happens after the answer
    socket.destroy();
  }
}
