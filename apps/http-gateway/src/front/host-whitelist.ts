/** Says whether a request's Host header is one that the operator expects. */
export interface HostWhitelist {
  allows(hostHeader: string | undefined): boolean;
}

/**
 * Makes the check of `--host-whitelist`: protection against DNS rebinding (CVE-2018-5702) for listeners without
 * TLS. An empty list or `*` lets everything pass, a request without a Host (HTTP/1.0) always does.
 *
 * More lenient than etcd where only the spelling differs: letter case, a trailing dot, brackets around IPv6.
 */
export function createHostWhitelist(hosts: readonly string[]): HostWhitelist {
  const allowed = new Set(hosts.map((host) => normalise(host)));
  const all = allowed.size === 0 || allowed.has("*");
  return {
    allows: (header) => all || header === undefined || allowed.has(normalise(withoutPort(header))),
  };
}

function withoutPort(header: string): string {
  if (header.startsWith("[")) return header.slice(0, header.indexOf("]") + 1);
  const colon = header.indexOf(":");
  // Two colons and no bracket: a bare IPv6 address.
  return colon === -1 || colon !== header.lastIndexOf(":") ? header : header.slice(0, colon);
}

function normalise(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
}
