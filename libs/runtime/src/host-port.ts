import { ConfigError } from "./config-error.ts";

/** A host and a port of a listening address. An empty host means every interface. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * Splits `host:port`; IPv6 hosts stand in brackets. Port 0 lets the system choose.
 * @throws ConfigError that names the flag and the value
 */
export function parseListenAddress(text: string, flag: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ConfigError(`invalid argument ${JSON.stringify(text)} for "--${flag}" flag: must be host:port`);
  }
  return { host: match[1] ?? match[2] ?? "", port };
}

/** Joins a host and a port, with brackets around IPv6. */
export function formatHostPort(address: HostPort): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
