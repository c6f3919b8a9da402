import { auth, type EtcdClient } from "@etcd-edge/conformance";
import type { EtcdCluster } from "@etcd-edge/testkit";

/** Switches auth on: `root`, and `ann`, who may do nothing. Their password is `pw`. */
export async function enableAuth(cluster: EtcdCluster): Promise<void> {
  for (const args of [
    ["user", "add", "root:pw"],
    ["user", "add", "ann:pw"],
    ...(cluster.binary.version.startsWith("3.4.") ? [["role", "add", "root"]] : []),
    ["user", "grant-role", "root", "root"],
    ["auth", "enable"],
  ]) {
    await cluster.etcdctl(args);
  }
}

/** Metadata of a call as this user. */
export async function asUser(
  client: EtcdClient,
  name: string,
): Promise<{ readonly metadata: { readonly token: string } }> {
  const { token } = await client.ask(auth.authenticate, { name, password: "pw" });
  return { metadata: { token } };
}
