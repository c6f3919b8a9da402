import { formatHostPort } from "@etcd-edge/runtime";

/**
 * How an upstream is spoken to.
 * - `any`: nothing was said (`host:port`); whoever dials decides (a byte pump does not care).
 * - `http` / `https`: cleartext / TLS over TCP, as in etcd's client URLs.
 * - `unix` / `unixs`: cleartext / TLS over a unix socket.
 */
export type EndpointScheme = "any" | "http" | "https" | "unix" | "unixs";

/** One upstream address. Immutable; two values with the same {@link endpointKey} are the same upstream. */
export type Endpoint = {
  readonly scheme: EndpointScheme;
  /** Host name or IP literal without brackets; for unix sockets the path. A name keeps its trailing dot. */
  readonly host: string;
  /** 1–65535; 0 for unix sockets. */
  readonly port: number;
  /** SRV priority, lower is preferred (RFC 2782). 0 when not from SRV. */
  readonly priority: number;
  /** SRV weight within its priority (RFC 2782). 0 when not from SRV. */
  readonly weight: number;
  /** The etcd member's name, when it is known. */
  readonly name?: string;
};

export function isUnixEndpoint(endpoint: Endpoint): boolean {
  return endpoint.scheme === "unix" || endpoint.scheme === "unixs";
}

export function isTlsEndpoint(endpoint: Endpoint): boolean {
  return endpoint.scheme === "https" || endpoint.scheme === "unixs";
}

/** `host:port` with brackets round an IPv6 host, or the path of a unix socket. */
export function endpointAddress(endpoint: Endpoint): string {
  return isUnixEndpoint(endpoint) ? endpoint.host : formatHostPort(endpoint);
}

/** `scheme://address`, or the bare address when no scheme was given. */
export function endpointUrl(endpoint: Endpoint): string {
  const address = endpointAddress(endpoint);
  return endpoint.scheme === "any" ? address : `${endpoint.scheme}://${address}`;
}

/** What makes two endpoints one upstream: where they lead, whatever the spelling, scheme, priority or weight. */
export function endpointKey(endpoint: Endpoint): string {
  return isUnixEndpoint(endpoint)
    ? `unix:${endpoint.host}`
    : formatHostPort({ host: canonicalHost(endpoint.host), port: endpoint.port });
}

/** A host as it is compared and as TLS wants it: lower case, without the trailing dot of an absolute name. */
export function canonicalHost(host: string): string {
  return host.toLowerCase().replace(/\.$/, "");
}
