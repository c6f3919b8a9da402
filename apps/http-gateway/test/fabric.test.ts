import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import {
  findEtcdBinaries,
  findFreePorts,
  requireProgram,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { expect, it } from "vitest";
import { EventSourceProbe } from "./support/event-source.ts";
import { startGateway } from "./support/running-gateway.ts";

const proxyMain = fileURLToPath(new URL("../../grpc-proxy/src/main.ts", import.meta.url));
const timeout = { timeout: 60_000 };

it("gateways and a grpc-proxy on one NATS watch a range at etcd once; --fabric-prefix keeps others apart", async () => {
  const binary = (await findEtcdBinaries()).at(-1);
  if (binary === undefined) throw new Error("no etcd");
  await using cluster = await startEtcdCluster({ binary });
  const [natsPort = 0, proxyPort = 0, ...adminPorts] = await findFreePorts(5);
  const natsServer = await requireProgram("nats-server");
  await using nats = startProgram(natsServer, ["-a", "127.0.0.1", "-p", String(natsPort)]);
  await nats.waitForLine("Server is ready");
  const shared = `--nats-url=nats://127.0.0.1:${natsPort}`;
  await using proxy = startProgram(process.execPath, [
    ...[proxyMain, "start", `--endpoints=${cluster.endpoints.join(",")}`, shared],
    ...[`--listen-addr=127.0.0.1:${proxyPort}`, `--metrics-addr=http://127.0.0.1:${adminPorts[0]}`],
  ]);
  await proxy.waitForLine("started gRPC proxy");
  const flags = (i: number): string[] => [shared, `--metrics-addr=http://127.0.0.1:${adminPorts[i]}`];
  await using one = await startGateway(cluster.endpoints, flags(1));
  await using two = await startGateway(cluster.endpoints, flags(2));
  await using apart = await startGateway(cluster.endpoints, [shared, "--fabric-prefix=elsewhere"]);

  interface Explained {
    readonly replicas: readonly { readonly tier: string }[];
  }
  const others = async (i: number): Promise<string[]> => {
    const answer = await fetch(`http://127.0.0.1:${adminPorts[i]}/explain/fabric`);
    return ((await answer.json()) as Explained).replicas.map(({ tier }) => tier).sort();
  };
  await expect.poll(() => others(0), timeout).toEqual(["http-gateway", "http-gateway"]);
  await expect.poll(() => others(1), timeout).toEqual(["grpc-proxy", "http-gateway"]);
  const watches = async (): Promise<number> => {
    const body = await (await fetch(`${cluster.members[0]?.clientUrl}/metrics`)).text();
    return Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(body)?.[1]);
  };

  using first = new EventSourceProbe(one.url, "/v3/watch?prefix=m/");
  using second = new EventSourceProbe(two.url, "/v3/watch?prefix=m/");
  using third = new EventSourceProbe(apart.url, "/v3/watch?prefix=m/");
  const probes = [first, second, third];
  for (const probe of probes) await expect.poll(() => probe.events[0]?.name, timeout).toBe("bookmark");
  const watcher = startProgram(binary.etcdctl, [
    ...[`--endpoints=127.0.0.1:${proxyPort}`, "watch", "--prefix", "m/"],
  ]);
  await using _watcher = watcher;
  await expect
    .poll(async () => {
      await cluster.etcdctl(["put", "m/k", "v"]);
      return watcher.output().includes("m/k");
    }, timeout)
    .toBe(true);
  for (const probe of probes)
    await expect.poll(() => probe.changes.includes("PUT m/k=v"), timeout).toBe(true);
  // Both are looked at each time: the last put may still be on its way to either.
  await expect.poll(() => isDeepStrictEqual(second.changes, first.changes), timeout).toBe(true);
  await expect.poll(watches, timeout).toBe(2);
});
