import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { ClientTls } from "@etcd-edge/runtime";
import type { ChannelOptions } from "@etcd-edge/transport";
import { canonicalHost, type Endpoint, endpointAddress, isTlsEndpoint, isUnixEndpoint } from "../endpoint.ts";
import { lookupHost } from "../lookup-host.ts";

/**
 * How an endpoint is dialled, as etcd's clients decide it: `https` and `unixs` use TLS, with no client certificate where
 * none is configured; `http` and `unix` never do; without a scheme TLS is used where a TLS flag was given.
 */
export function toChannelTarget(
  endpoint: Endpoint,
  tls: ClientTls | undefined,
): Pick<ChannelOptions, "endpoint" | "authority" | "tls"> {
  const isUnix = isUnixEndpoint(endpoint);
  const target = isUnix
    ? { path: endpoint.host }
    : { host: endpoint.host, port: endpoint.port, lookup: lookupHost };
  const authority = isUnix
    ? "localhost"
    : endpointAddress({ ...endpoint, host: canonicalHost(endpoint.host) });
  const isSecure = isTlsEndpoint(endpoint) || (endpoint.scheme === "any" && tls !== undefined);
  if (!isSecure) return { endpoint: target, authority };
  const name = isUnix ? "localhost" : canonicalHost(endpoint.host);
  // SNI carries names only (RFC 6066, section 3).
  const names = { host: name, ...(isIP(name) === 0 ? { servername: name } : {}) };
  // Asked at each dial: the files may have been replaced.
  const options = (): ConnectionOptions => ({
    ...(tls?.current() ?? { rejectUnauthorized: true }),
    ...names,
  });
  return { endpoint: target, authority, tls: options };
}
