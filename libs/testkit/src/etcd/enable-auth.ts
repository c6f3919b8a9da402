import type { EtcdCluster } from "./etcd-cluster.ts";

/**
 * Switches auth on. There is `root`, and each of `users`, who may do nothing yet; the password of all is `pw`.
 *
 * @throws the error of etcdctl
 */
export async function enableAuth(cluster: EtcdCluster, users: readonly string[] = []): Promise<void> {
  const names = ["root", ...users];
  for (const name of names) await cluster.etcdctl(["user", "add", `${name}:pw`]);
  // Later releases make the role when auth is enabled.
  if (cluster.binary.version.startsWith("3.4.")) await cluster.etcdctl(["role", "add", "root"]);
  await cluster.etcdctl(["user", "grant-role", "root", "root"]);
  await cluster.etcdctl(["auth", "enable"]);
}
