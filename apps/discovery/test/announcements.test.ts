import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  findEtcdBinaries,
  findFreePorts,
  requireProgram,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { aliveUrls, setThat, startDiscovery } from "./discovery-process.ts";

const newest = (await findEtcdBinaries()).at(-1);
if (newest === undefined) throw new Error("no etcd to test with");
const natsServer = await requireProgram("nats-server");

async function startNats(port: number) {
  const server = startProgram(natsServer, ["-a", "127.0.0.1", "-p", String(port)]);
  await server.waitForLine("Server is ready");
  return server;
}

describe("two replicas and NATS", () => {
  it("tell a replica that has no upstream of its own what they know, with the right key only", async () => {
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-discovery-"));
    await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
    const keyFile = join(folder, "key");
    const otherKeyFile = join(folder, "other");
    await writeFile(keyFile, "one secret");
    await writeFile(otherKeyFile, "another secret");
    const [port = 0] = await findFreePorts(1);
    const nats = [`--nats-url=nats://127.0.0.1:${port}`];

    await using cluster = await startEtcdCluster({ binary: newest });
    await using knowing = await startDiscovery([
      `--endpoints=${cluster.endpoints[0]}`,
      ...nats,
      `--fabric-key-file=${keyFile}`,
    ]);
    // Nobody at the SRV domain: this replica learns from others or not at all.
    const blind = [
      "--discovery-srv=nowhere.test",
      "--dns-servers=127.0.0.1:1",
      "--metrics-addr=http://127.0.0.1:0",
      ...nats,
    ];
    await using listening = await startDiscovery([...blind, `--fabric-key-file=${keyFile}`]);
    await using stranger = await startDiscovery([...blind, `--fabric-key-file=${otherKeyFile}`]);
    const metricsOf = async (): Promise<string> => {
      const { url } = JSON.parse(await stranger.waitForLine("listening for metrics")) as { url: string };
      return await (await fetch(`${url}/metrics`)).text();
    };

    // No NATS yet: everything runs, the state is said and shown.
    await knowing.waitForLine("not connected to NATS, announcing to nobody");
    await setThat(knowing, (one) => aliveUrls(one).length === 1);
    expect(await metricsOf()).toMatch(/^etcd_edge_fabric_connected 0$/m);

    await using _nats = await startNats(port);
    const heard = await setThat(listening, (one) => aliveUrls(one).length === 1);
    expect(heard.endpoints).toMatchObject([
      { url: cluster.members[0]?.clientUrl, name: "m1", health: "heard" },
    ]);

    await stranger.waitForLine("connected to NATS");
    let text = await metricsOf();
    while (!/^etcd_edge_fabric_rejected_messages_total [1-9]/m.test(text)) text = await metricsOf();
    const ignorant = (await (await fetch(`${stranger.url}/v1/endpoints`)).json()) as { endpoints: unknown[] };
    expect(ignorant.endpoints).toEqual([]);
  });
});
