import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";

/**
 * Looks a host up as `net.connect` does by default, but knows that SRV targets come with a trailing dot: that keeps
 * search domains away from them, and it also keeps the system from finding them in its hosts file. So a name with a dot
 * that is not found is looked up once more without it. For the `lookup` option of `net.connect`.
 */
export const lookupHost: LookupFunction = (host, options, callback) => {
  lookup(
    host,
    options,
    (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => {
      if (error?.code === "ENOTFOUND" && host.endsWith(".")) lookup(host.slice(0, -1), options, callback);
      else callback(error, address, family);
    },
  );
};

/** All addresses of a host by {@link lookupHost}; an IP address is its own. Rejects with the lookup's error. */
export function resolveHost(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return Promise.resolve([host]);
  const options: LookupOptions = { all: true };
  return new Promise((resolve, reject) => {
    lookupHost(host, options, (error, addresses) => {
      if (error !== null) reject(error);
      else resolve((Array.isArray(addresses) ? addresses : []).map(({ address }) => address));
    });
  });
}
