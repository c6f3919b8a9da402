import {
  createAutoProbe,
  createEtcdProbe,
  createHttpProbe,
  createTcpProbe,
  type Endpoint,
  isUnixEndpoint,
  type Opening,
  type Probe,
  resolveHost,
} from "@etcd-edge/endpoints";
import { type ListenAddress, leadsTo } from "./address-checks.ts";
import type { HealthCheck } from "./command.ts";

/** The probe behind a value of `--health-check`. For `none` the probe that tries ejected endpoints again. */
export function createProbe(check: HealthCheck, opening: Opening): Probe {
  switch (check) {
    case "auto":
      return createAutoProbe(opening);
    case "grpc":
      return createEtcdProbe(opening);
    case "http":
      return createHttpProbe(opening);
    case "tcp":
    case "none":
      return createTcpProbe(opening);
    default:
      return check satisfies never;
  }
}

/**
 * Keeps an endpoint that leads back to our own listener out of use: a loop would open connections until there are no
 * more descriptors. Start-up refuses such endpoints; SRV records can bring them later.
 */
export function withoutSelf(probe: Probe, listen: ListenAddress): Probe {
  return async (endpoint, signal) =>
    (await leadsBack(endpoint, listen))
      ? { t: "unreachable", error: "leads back to this gateway" }
      : probe(endpoint, signal);
}

async function leadsBack(endpoint: Endpoint, listen: ListenAddress): Promise<boolean> {
  if (isUnixEndpoint(endpoint)) return endpoint.host === listen.path;
  if (endpoint.port !== listen.port) return false;
  const { host, port } = endpoint;
  const addresses = await resolveHost(host).catch(() => []); // the probe itself will say what is wrong
  return addresses.some((address) => leadsTo(listen, { host: address, port }));
}
