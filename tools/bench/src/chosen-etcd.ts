import { type EtcdBinary, findEtcdBinaries } from "@etcd-edge/testkit";

/**
 * The etcd that is measured: the newest of this machine, or of the version that is asked for.
 * @param version `3.5.30`, or the beginning of one: `3.5`
 * @throws Error where there is none
 */
export async function findChosenEtcd(version?: string): Promise<EtcdBinary> {
  const binaries = await findEtcdBinaries();
  const chosen = binaries.findLast(
    (binary) => version === undefined || `${binary.version}.`.startsWith(`${version}.`),
  );
  if (chosen !== undefined) return chosen;
  if (binaries.length === 0) throw new Error("no etcd found: see the README of the project");
  const found = binaries.map((binary) => binary.version).join(", ");
  throw new Error(`--etcd: no etcd ${version} here, only ${found}`);
}
