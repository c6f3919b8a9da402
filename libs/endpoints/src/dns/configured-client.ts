import { alsoResolveBy } from "../lookup-host.ts";
import { lookupAddresses } from "./address-lookup.ts";
import { DnsClient } from "./dns-client.ts";

/**
 * The client that `--dns-servers` names; of the system's resolvers where it names none. What is named is also asked for hosts
 * that the system does not find: who serves the SRV records of a zone knows their targets, and may be the only one.
 */
export function createConfiguredClient(dnsServers: readonly string[]): DnsClient {
  if (dnsServers.length === 0) return new DnsClient();
  const client = new DnsClient({ resolvers: dnsServers });
  alsoResolveBy((host) => lookupAddresses(client, host));
  return client;
}
