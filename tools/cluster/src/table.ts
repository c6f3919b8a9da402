import type { EtcdCluster } from "@etcd-edge/testkit";
import type { TierProcess } from "./plan.ts";

/** What the user sees once everything runs: addresses, and commands to try. */
export function renderWelcome(cluster: EtcdCluster, tiers: readonly TierProcess[], dnsPort: number): string {
  const rows = [
    ["what", "address", "admin"],
    ...cluster.members.map((member) => [
      `etcd ${cluster.binary.version} ${member.name}`,
      member.clientAddress,
      `${member.clientUrl}/metrics`,
    ]),
    ...tiers.map((one) => [`${one.tier} ${one.replica}`, one.address, `${one.adminUrl}/readyz`]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const table = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const first = (tier: TierProcess["tier"]): string | undefined =>
    tiers.find((one) => one.tier === tier)?.address;
  return [
    "",
    ...table,
    "",
    "Try:",
    ...commands(cluster, first, dnsPort).map((line) => `  ${line}`),
    "",
    "Ctrl-C stops everything.",
    "",
  ].join("\n");
}

function commands(
  cluster: EtcdCluster,
  first: (tier: TierProcess["tier"]) => string | undefined,
  dnsPort: number,
): string[] {
  const etcdctl = `ETCDCTL_API=3 ${cluster.binary.etcdctl}`;
  const proxy = first("grpc-proxy");
  const gateway = first("tcp-gateway");
  const json = first("http-gateway");
  const discovery = first("discovery");
  const lines: (string | undefined)[] = [
    proxy && `${etcdctl} --endpoints=${proxy} put greeting hello`,
    gateway && `${etcdctl} --endpoints=${gateway} get greeting`,
    proxy && `${etcdctl} --endpoints=${proxy} watch --prefix ""`,
    json && `curl -s http://${json}/v3/kv/range -d '{"key":"Z3JlZXRpbmc="}'`,
    discovery && `curl -s http://${discovery}/v1/endpoints`,
    discovery && `dig @127.0.0.1 -p ${dnsPort} _etcd-client._tcp.etcd.local SRV`,
  ];
  return lines.filter((line) => line !== undefined);
}
