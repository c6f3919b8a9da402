import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import {
  type Endpoint,
  endpointAddress,
  isUnixEndpoint,
  resolveHost,
  splitHostPort,
} from "@etcd-edge/endpoints";
import { formatHostPort, type HostPort } from "@etcd-edge/runtime";

/**
 * Where the gateway listens, with its host resolved. An empty host is every interface; with a path it is a unix socket, and
 * neither host nor port mean anything.
 */
export type ListenAddress = HostPort & { readonly address: string; readonly path?: string };

/** What a step found, and its errors in etcd's words. */
export type Checked<T> = { readonly value: T; readonly errors: readonly string[] };

/**
 * Reads and resolves `--listen-addr`. Unlike etcd's gateway it takes an empty host (`:23790`) for every interface, as
 * every other etcd flag does, and unix sockets as endpoints are written (`unix:///path`).
 */
export async function checkListenAddress(text: string): Promise<Checked<ListenAddress | undefined>> {
  const path = /^unix:(?:\/\/)?(.+)$/.exec(text)?.[1];
  if (path !== undefined) return { value: { host: "", port: 0, address: "", path }, errors: [] };
  const split = splitHostPort(text, { minPort: 0 });
  if (split === undefined) return failed(`failed to validate listen address: ${text}`);
  if (split.host === "") return { value: { ...split, address: "::" }, errors: [] };
  const addresses = await resolve(split.host);
  const [address] = addresses === "unknown" ? [] : addresses;
  if (address === undefined) return failed(`failed to resolve listen host: ${split.host}`);
  return { value: { ...split, address }, errors: [] };
}

/**
 * Resolves every endpoint's host and finds those that lead back to the listener, over whatever local address. A name
 * that does not exist is an error; DNS that cannot be asked just now is not (names are resolved again at each dial).
 */
export async function checkEndpoints(
  endpoints: readonly Endpoint[],
  listen: ListenAddress | undefined,
): Promise<readonly string[]> {
  const errors = await Promise.all(
    endpoints.map(async (endpoint) => {
      if (isUnixEndpoint(endpoint))
        return endpoint.host === listen?.path ? loopError(endpoint.host) : undefined;
      const addresses = await resolve(endpoint.host);
      if (addresses === "unknown") return undefined;
      if (addresses.length === 0) return `failed to resolve endpoint host: ${endpoint.host}`;
      const back = addresses.find(
        (address) => listen !== undefined && leadsTo(listen, { host: address, port: endpoint.port }),
      );
      if (back === undefined || listen === undefined) return undefined;
      const resolved = formatHostPort({ host: back, port: endpoint.port });
      const self = formatHostPort(listen);
      return `SRV or endpoint (${endpointAddress(endpoint)}->${resolved}) should not resolve to the gateway listen addr (${self})`;
    }),
  );
  return errors.filter((error) => error !== undefined);
}

/** As etcd words it for addresses. */
function loopError(path: string): string {
  return `SRV or endpoint (${path}) should not resolve to the gateway listen addr (${path})`;
}

/** True if a connection to `target` (an IP address) would arrive at the listener. */
export function leadsTo(listen: ListenAddress, target: HostPort): boolean {
  if (target.port !== listen.port) return false;
  if (sameAddress(target.host, listen.address)) return true;
  return isUnspecified(listen.address) && (isUnspecified(target.host) || isLocalAddress(target.host));
}

function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || /^[0:]+$/.test(address);
}

function isLocalAddress(address: string): boolean {
  if (address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.")) return true;
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((one) => sameAddress(one.address, address)),
  );
}

function sameAddress(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

function canonical(address: string): string {
  const unmapped = address.replace(/^::ffff:(?=\d+\.)/i, "");
  return isIPv6(unmapped) ? new URL(`http://[${unmapped.replace(/%.*$/, "")}]`).hostname : unmapped;
}

/** "unknown": the name could not be looked up now; empty: it does not exist. */
async function resolve(host: string): Promise<readonly string[] | "unknown"> {
  try {
    return await resolveHost(host);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ENOTFOUND" || code === "ENODATA" ? [] : "unknown";
  }
}

function failed(error: string): Checked<undefined> {
  return { value: undefined, errors: [error] };
}
