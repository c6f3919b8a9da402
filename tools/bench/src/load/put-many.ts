import { create, PutRequestSchema, toBinary } from "@etcd-edge/proto";
import type { EtcdCluster } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";

/** Puts 64 bytes at `bench` so often, straight to the first member, so many in the air together. */
export async function putMany(
  { endpoints }: EtcdCluster,
  { puts, writers }: { readonly puts: number; readonly writers: number },
): Promise<void> {
  const [host = "", port = ""] = (endpoints[0] ?? "").split(":");
  await using channel = new Channel({ endpoint: { host, port: Number(port) } });
  const request = create(PutRequestSchema, { key: Buffer.from("bench"), value: Buffer.alloc(64, "v") });
  const message = toBinary(PutRequestSchema, request);
  let left = puts;
  const writer = async (): Promise<void> => {
    while (left-- > 0) await channel.unaryCall("/etcdserverpb.KV/Put", [], message);
  };
  await Promise.all(Array.from({ length: writers }, writer));
}
