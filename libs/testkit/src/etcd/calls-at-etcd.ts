import type { EtcdCluster } from "./etcd-cluster.ts";

/**
 * Calls of these methods that the members have answered since they started, in all, by etcd's own counters
 * (`grpc_server_handled_total`).
 * @param methods as gRPC names them, without the service: `Range`
 */
export async function countCallsAtEtcd(
  { members }: Pick<EtcdCluster, "members">,
  methods: readonly string[],
): Promise<number> {
  const row = new RegExp(
    String.raw`^grpc_server_handled_total\{.*grpc_method="(?:${methods.join("|")})".*\} (\S+)$`,
    "gm",
  );
  const counts = await Promise.all(
    members.map(async ({ clientUrl }) => {
      const text = await (await fetch(`${clientUrl}/metrics`)).text();
      return [...text.matchAll(row)].reduce((sum, [, count]) => sum + Number(count), 0);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
