import { endpointUrl } from "@etcd-edge/endpoints";
import type { Presence } from "@etcd-edge/fabric";
import type { Directory, DirectoryEntry } from "../directory/directory.ts";
import type { Tiers } from "../tiers/tiers.ts";

/** Where what is known of the fleet comes from. */
export interface FleetSources {
  readonly members: Directory;
  readonly tiers: Tiers;
  readonly present: () => readonly Presence[];
}

/** The shape of `/v1/fleet`; fields are added, never changed. */
export interface Fleet {
  readonly cluster: string;
  readonly members: readonly FleetEndpoint[];
  readonly tiers: readonly FleetTier[];
}

interface FleetEndpoint {
  readonly url: string;
  readonly name?: string;
  readonly alive: boolean;
  readonly health: string;
}

interface FleetTier {
  readonly name: string;
  /** Where clients are sent, by what was told and what is registered. */
  readonly endpoints: readonly FleetEndpoint[];
  /** Processes that told of themselves. */
  readonly replicas: readonly FleetReplica[];
  /** Client watches for each watch at etcd, over all replicas; nothing where there are none. */
  readonly coalescingRatio?: number;
}

interface FleetReplica {
  readonly id: string;
  readonly name: string;
  readonly url?: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly ready: boolean;
  readonly notReady?: string;
  readonly stats: Readonly<Record<string, number>>;
}

/** Members, tiers, replicas, health, feeds and how much is shared, at this moment. */
export function describeFleet({ members, tiers, present }: FleetSources): Fleet {
  const { cluster, entries } = members.current();
  const replicas = present();
  const known = new Map([...tiers.all()].map(([name, directory]) => [name as string, directory]));
  // A tier may tell of itself without an address to be found under; discovery itself does.
  const names = new Set([...known.keys(), ...replicas.map(({ tier }) => tier)]);
  return {
    cluster,
    members: entries.map(toEndpoint),
    tiers: [...names].sort().map((name) => {
      const own = replicas.filter(({ tier }) => tier === name);
      const ratio = coalescingRatio(own);
      return {
        name,
        endpoints: (known.get(name)?.current().entries ?? []).map(toEndpoint),
        replicas: own.map(toReplica),
        ...(ratio === undefined ? {} : { coalescingRatio: ratio }),
      };
    }),
  };
}

function toEndpoint({ endpoint, health, isAlive }: DirectoryEntry): FleetEndpoint {
  const { name } = endpoint;
  return { url: endpointUrl(endpoint), ...(name === undefined ? {} : { name }), alive: isAlive, health };
}

function toReplica({ id, name, url, version, uptimeSeconds, notReady, stats }: Presence): FleetReplica {
  return {
    id,
    name,
    ...(url === undefined ? {} : { url }),
    version,
    uptimeSeconds: Math.round(uptimeSeconds),
    ready: notReady === undefined,
    ...(notReady === undefined ? {} : { notReady }),
    stats,
  };
}

function coalescingRatio(replicas: readonly Presence[]): number | undefined {
  const sum = (stat: string): number => replicas.reduce((total, { stats }) => total + (stats[stat] ?? 0), 0);
  const upstream = sum("feeds-ingesting");
  return upstream === 0 ? undefined : Math.round((sum("watches") / upstream) * 100) / 100;
}
