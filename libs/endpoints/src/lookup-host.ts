import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { lookup as lookupByPromise } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { HostCache } from "./host-cache.ts";

type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

/** One for the process, as the resolver behind it is. */
const cache = new HostCache({ resolve: resolveByAll });
let furtherResolver: Resolve | undefined;

/** From now on names that the system does not find are asked there, too; one for the process. */
export function alsoResolveBy(resolve: Resolve | undefined): void {
  furtherResolver = resolve;
}

/**
 * Looks a host up as `net.connect` does by default, with two differences: answers are remembered for some seconds (see
 * `HostCache`), and SRV targets are found although they come with a trailing dot. For the `lookup` option of `net.connect`.
 */
export const lookupHost: LookupFunction = (host, options, callback) => {
  const family = options.family === 4 || options.family === 6 ? options.family : 0;
  if (isIP(host) !== 0) {
    lookup(host, options, callback);
    return;
  }
  cache.lookup(host).then(
    (all) => {
      const fitting = all.filter((one) => family === 0 || one.family === family);
      const [first] = fitting;
      if (first === undefined)
        callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND" }), "");
      else if (options.all === true) callback(null, fitting);
      else callback(null, first.address, first.family);
    },
    (error: NodeJS.ErrnoException) => callback(error, ""),
  );
};

/** All addresses of a host by {@link lookupHost}; an IP address is its own. Rejects with the lookup's error. */
export async function resolveHost(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  return (await cache.lookup(host)).map(({ address }) => address);
}

/** A connection to one of the host's addresses failed: perhaps it has moved. */
export function forgetHost(host: string): void {
  cache.forget(host);
}

async function resolveByAll(host: string): Promise<readonly LookupAddress[]> {
  try {
    return await resolveBySystem(host);
  } catch (error) {
    if (furtherResolver === undefined) throw error;
    return await furtherResolver(host).catch(() => {
      throw error; // who looks for the cause looks at the system first
    });
  }
}

/**
 * The trailing dot of an SRV target keeps search domains away from it, and it also keeps the system from finding it in
 * its hosts file: a name with a dot that is not found is looked up once more without it.
 */
async function resolveBySystem(host: string): Promise<readonly LookupAddress[]> {
  const options: LookupOptions & { all: true } = { all: true };
  try {
    return await lookupByPromise(host, options);
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOTFOUND";
    if (isMissing && host.endsWith(".")) return await lookupByPromise(host.slice(0, -1), options);
    throw error;
  }
}
