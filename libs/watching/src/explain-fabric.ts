import type { HttpHandler } from "@etcd-edge/runtime";
import type { Fabric } from "./join-fabric.ts";

/**
 * `/explain/fabric` as JSON: whether other replicas can be reached, who they are and what they say of themselves, in the
 * order of their names; and what is done for lost feeds.
 */
export function createExplainFabric({ replica }: Fabric): HttpHandler {
  return (_request, response) => {
    const others = [...replica.roster.replicas()]
      .sort((a, b) => (a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1))
      .map(({ id, name, tier, version, uptimeSeconds, isDraining, record, compactRevision, stats }) => ({
        ...{ id, name, tier, version, uptimeSeconds, isDraining },
        clusterId: record?.clusterId.toString(16),
        epoch: record?.epoch.id,
        revision: record === undefined ? undefined : String(record.revision),
        compactRevision: String(compactRevision),
        stats: Object.fromEntries(stats),
      }));
    const { budget, counters, id, isConnected } = replica;
    const reopening = { waiting: budget.waiting.count, longestMs: budget.waiting.longestMs };
    const body = JSON.stringify({ id, isConnected, replicas: others, reopening, counters }, undefined, 2);
    response.writeHead(200, { "content-type": "application/json" }).end(`${body}\n`);
  };
}
