import { isIP } from "node:net";
import { canonicalHost, type Endpoint, isUnixEndpoint } from "@etcd-edge/endpoints";
import type { SrvData } from "dns-packet";
import type { DirectoryView } from "./directory.ts";

/** The smallest sum of weights that is served, see {@link toServedWeights}. */
const minTotalWeight = 1_000;
const maxWeight = 65_535;

/**
 * SRV records by the labels of their owner, as clients and bootstrapping servers ask (facts of etcd's own clients):
 * TLS and cleartext apart, each also with the cluster's name as suffix. A service nobody is behind has an empty list.
 */
export function toServedServices(view: DirectoryView, origin: string): Map<string, readonly SrvData[]> {
  const services = new Map<string, readonly SrvData[]>();
  const add = (service: string, endpoints: readonly Endpoint[]): void => {
    for (const isTls of [true, false]) {
      const ours = endpoints.filter(({ scheme }) => (scheme === "https") === isTls);
      const records = toServedWeights(ours).map((endpoint) => toRecord(endpoint, origin));
      const label = `_${service}${isTls ? "-ssl" : ""}`;
      services.set(`${label}._tcp`, records);
      services.set(`${label}-${view.cluster.toLowerCase()}._tcp`, records);
    }
  };
  add("etcd-client", chooseServed(view));
  add("etcd-server", view.peers);
  return services;
}

/** Who is alive; everybody if nobody is: old answers heal, empty ones make etcd's clients exit. */
export function chooseServed({ entries }: DirectoryView): Endpoint[] {
  const onNetwork = entries.filter(({ endpoint }) => !isUnixEndpoint(endpoint));
  const alive = onNetwork.filter(({ isAlive }) => isAlive);
  return (alive.length > 0 ? alive : onNetwork).map(({ endpoint }) => endpoint);
}

/**
 * Weights that a stock `etcd gateway` shares right, too. It ignores priorities when weights are 0, and gives the first
 * record one share too much and the last one too few, which matters when shares are small. So: 0 stays only where all
 * have one priority, and other weights are scaled up together.
 */
export function toServedWeights<T extends Pick<Endpoint, "priority" | "weight">>(
  endpoints: readonly T[],
): T[] {
  const isFlat = endpoints.every(
    ({ priority, weight }) => weight === 0 && priority === endpoints[0]?.priority,
  );
  if (isFlat) return [...endpoints];
  const isUnweighted = endpoints.every(({ weight }) => weight === 0);
  const weights = endpoints.map(({ weight }) => (isUnweighted ? 1 : weight));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const factor = Math.max(
    1,
    Math.min(Math.ceil(minTotalWeight / total), Math.floor(maxWeight / Math.max(...weights))),
  );
  return endpoints.map((endpoint, n) => ({ ...endpoint, weight: (weights[n] ?? 0) * factor }));
}

function toRecord({ host, port, priority, weight }: Endpoint, origin: string): SrvData {
  const label = toHostLabel(host);
  return { target: label === undefined ? canonicalHost(host) : `${label}.${origin}`, port, priority, weight };
}

/**
 * The name in our zone that stands for a host which no other zone can name: an IP address, or a name of one label (a
 * container, a line in a hosts file). Undefined for names with a dot: they are targets as they are, which is also what
 * their certificates say.
 */
export function toHostLabel(host: string): string | undefined {
  const name = canonicalHost(host);
  if (isIP(name) !== 0) return `ip-${name.replace(/%.*$/, "").replaceAll(/[.:]/g, "-")}`;
  return name.includes(".") ? undefined : name;
}
