import type { HostPort } from "@etcd-edge/runtime";
import type { Endpoint, EndpointScheme } from "./endpoint.ts";

export type ParsedEndpoints = {
  /** In the order given, repeats included (a ready line shows them; an endpoint set holds each once). */
  readonly endpoints: readonly Endpoint[];
  /** One text per entry that does not parse, in etcd's words: `error parsing endpoint "x"`. */
  readonly errors: readonly string[];
};

/**
 * Reads an `--endpoints` list the way etcd's gateway does: an entry with an authority (`scheme://[user@]host:port/path`)
 * is cut down to its host and port, any other entry is taken as written, and what remains must be `host:port`.
 *
 * Three things are stricter or wider than etcd, whose behaviour there is a defect: a port must be a number from 1 to
 * 65535 (etcd turns anything else into port 0), IPv6 literals keep their brackets when joined again (etcd before 3.6 did
 * not), and `unix:` paths are understood. All errors come back at once.
 */
export function parseEndpoints(entries: readonly string[]): ParsedEndpoints {
  const endpoints: Endpoint[] = [];
  const errors: string[] = [];
  for (const entry of entries) {
    const parsed = parseEndpoint(entry);
    if (typeof parsed === "string") errors.push(parsed);
    else endpoints.push(parsed);
  }
  return { endpoints, errors };
}

/** One entry; a string is the error. */
export function parseEndpoint(entry: string): Endpoint | string {
  const unix = /^(unixs?):(?:\/\/)?(.+)$/.exec(entry);
  if (unix !== null) return endpoint(unix[1] === "unixs" ? "unixs" : "unix", unix[2] ?? "", 0);

  const url = /^(?:([a-z][a-z0-9+.-]*):)?\/\/(?:[^/?#]*@)?([^/?#]+)/i.exec(entry);
  const hostPort = url?.[2] ?? entry;
  const split = splitHostPort(hostPort);
  if (split === undefined) return `error parsing endpoint "${hostPort}"`;
  return endpoint(toScheme(url?.[1]), split.host, split.port);
}

/**
 * `host:port` or `[v6]:port`; undefined if there is no port, the port is not 1–65535, or an IPv6 host lacks brackets.
 * The host may be empty (`:2379`); whether that means something is the caller's business.
 * `minPort: 0` also lets port 0 through, for listen addresses.
 */
export function splitHostPort(
  text: string,
  { minPort = 1 }: { minPort?: number } = {},
): HostPort | undefined {
  const match = /^(?:\[([^[\]]*)\]|([^[\]:]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port < minPort || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}

function toScheme(scheme: string | undefined): EndpointScheme {
  switch (scheme?.toLowerCase()) {
    case "http":
      return "http";
    case "https":
      return "https";
    default:
      return "any"; // the gateway takes any scheme: it moves bytes
  }
}

function endpoint(scheme: EndpointScheme, host: string, port: number): Endpoint {
  return { scheme, host, port, priority: 0, weight: 0 };
}
