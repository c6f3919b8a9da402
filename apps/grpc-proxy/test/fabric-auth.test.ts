import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Auth, toGrpcJsService } from "@etcd-edge/proto";
import {
  enableAuth,
  findEtcdBinaries,
  findFreePorts,
  requireProgram,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { patience } from "./fabric-fleet.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const auth = toGrpcJsService(Auth);

it("rule 37: with auth on, NATS needs credentials or a key; then replicas share what one credential sees, and no more", async () => {
  const binary = (await findEtcdBinaries()).at(-1);
  if (binary === undefined) throw new Error("no etcd");
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-fabric-"));
  await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  const keyFile = join(folder, "key");
  await writeFile(keyFile, "a secret of all replicas");
  const [port = 0, ...adminPorts] = await findFreePorts(4);
  await using nats = startProgram(await requireProgram("nats-server"), [
    "-a",
    "127.0.0.1",
    "-p",
    String(port),
  ]);
  await nats.waitForLine("Server is ready");
  await using cluster = await startEtcdCluster({ binary });
  await enableAuth(cluster, ["alice"]);
  const root = "--user=root:pw";
  await cluster.etcdctl(["role", "add", "reader", root]);
  await cluster.etcdctl(["role", "grant-permission", "reader", "read", "k", root]);
  await cluster.etcdctl(["user", "grant-role", "alice", "reader", root]);

  const endpoints = cluster.endpoints;
  const natsUrl = [`nats://127.0.0.1:${port}`];
  await expect(startProxy({ endpoints, natsUrl })).rejects.toThrow(
    "auth is enabled in etcd: --nats-url needs credentials",
  );

  const start = (prefix: string, adminPort = 0) =>
    startProxy({
      ...{ endpoints, natsUrl, fabricKeyFile: keyFile, fabricPrefix: prefix },
      metricsAddr: `http://127.0.0.1:${adminPort}`,
    });
  await using one = await start("fleet", adminPorts[0]);
  await using two = await start("fleet", adminPorts[1]);
  await using elsewhere = await start("another", adminPorts[2]);
  const tokenOf = async (name: string): Promise<string> => {
    await using client = new EtcdClient(`127.0.0.1:${one.address.port}`);
    return (await client.call(auth.authenticate, { name, password: "pw" } as never)).token;
  };
  const alice = await tokenOf("alice");
  const boss = await tokenOf("root");
  const open = async (proxy: typeof one, token: string): Promise<WatchClient> => {
    const client = new WatchClient(proxy.address.port, ["token", token]);
    client.create({ key: Buffer.from("k") });
    expect(await client.next()).toMatchObject({ created: true, canceled: false });
    return client;
  };
  const connected = async (adminPort = 0): Promise<void> => {
    const metrics = async (): Promise<string> =>
      (await fetch(`http://127.0.0.1:${adminPort}/proxy/metrics`)).text();
    await expect.poll(metrics, patience).toMatch(/^etcd_edge_fabric_replicas 1$/m);
  };
  await Promise.all([connected(adminPorts[0]), connected(adminPorts[1])]);

  const clients = [
    await open(one, alice),
    await open(two, alice),
    await open(two, boss),
    await open(elsewhere, alice),
  ];
  await cluster.etcdctl(["put", "k", "v", root]);
  for (const client of clients) expect(await client.events(1)).toHaveLength(1);
  const roles = async (adminPort = 0): Promise<string[]> => {
    const scopes = await (await fetch(`http://127.0.0.1:${adminPort}/explain/watch`)).json();
    return (scopes as { feeds: { fabric: { role: string } }[] }[])
      .flatMap(({ feeds }) => feeds.map(({ fabric }) => fabric.role))
      .sort();
  };
  const all = async (): Promise<{ pair: string[]; apart: string[] }> => ({
    pair: [...(await roles(adminPorts[0])), ...(await roles(adminPorts[1]))].sort(),
    apart: await roles(adminPorts[2]),
  });
  // One of the two has alice's watch and the other follows; root's is its own, and another prefix is another fleet.
  await expect
    .poll(all, patience)
    .toEqual({ pair: ["following", "ingesting", "ingesting"], apart: ["ingesting"] });
  for (const client of clients) await client[Symbol.asyncDispose]();
});
