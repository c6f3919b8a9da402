import type { SoaData, SrvData } from "dns-packet";

/** What there is at one name. A node without records makes a name exist (something is below it). */
export type ZoneNode = {
  readonly srv?: readonly SrvData[];
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly ns?: readonly string[];
  readonly soa?: SoaData;
};

/** A zone at one moment. Immutable. */
export type Zone = {
  /** Lower case, without the final dot. */
  readonly origin: string;
  readonly ttlSeconds: number;
  /** By lower-case name without the final dot. Holds the origin. */
  readonly nodes: ReadonlyMap<string, ZoneNode>;
};

/** An SRV target in the zone that stands for a host, and the host's addresses. */
export type ZoneHost = { readonly label: string; readonly addresses: readonly string[] };

export type ZoneContent = {
  readonly origin: string;
  readonly ttlSeconds: number;
  /** Grows with every change of content. */
  readonly serial: number;
  /** SRV records by the labels of their owner, `_etcd-client._tcp`. An empty list is a name without records. */
  readonly services: ReadonlyMap<string, readonly SrvData[]>;
  readonly hosts: readonly ZoneHost[];
  /** Addresses at which this server itself is reached: the zone's `ns`. */
  readonly serverAddresses: readonly string[];
};

export function buildZone({
  origin,
  ttlSeconds,
  serial,
  services,
  hosts,
  serverAddresses,
}: ZoneContent): Zone {
  const nodes = new Map<string, ZoneNode>();
  const server = `ns.${origin}`;
  const soa: SoaData = {
    mname: server,
    rname: `hostmaster.${origin}`,
    serial: serial >>> 0,
    refresh: 60,
    retry: 10,
    expire: 3_600,
    minimum: ttlSeconds, // how long an absence may be believed (RFC 2308)
  };
  nodes.set(origin, { soa, ns: [server] });
  nodes.set(server, addressNode(serverAddresses));
  for (const { label, addresses } of hosts) nodes.set(`${label}.${origin}`, addressNode(addresses));
  for (const [labels, srv] of services) {
    nodes.set(`${labels}.${origin}`, { srv });
    // Names above it exist, though nothing is there (RFC 8020).
    for (let dot = labels.indexOf("."); dot !== -1; dot = labels.indexOf(".", dot + 1)) {
      const parent = `${labels.slice(dot + 1)}.${origin}`;
      if (!nodes.has(parent)) nodes.set(parent, {});
    }
  }
  return { origin, ttlSeconds, nodes };
}

function addressNode(addresses: readonly string[]): ZoneNode {
  return {
    a: addresses.filter((address) => !address.includes(":")),
    aaaa: addresses.filter((address) => address.includes(":")),
  };
}

export function isInZone(zone: Zone, name: string): boolean {
  return name === zone.origin || name.endsWith(`.${zone.origin}`);
}
