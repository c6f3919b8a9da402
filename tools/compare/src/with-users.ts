import { auth, type EtcdClient } from "@etcd-edge/conformance";

/** Metadata of a call as this user. */
export async function asUser(
  client: EtcdClient,
  name: string,
): Promise<{ readonly metadata: { readonly token: string } }> {
  const { token } = await client.ask(auth.authenticate, { name, password: "pw" });
  return { metadata: { token } };
}
