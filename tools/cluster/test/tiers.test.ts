import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  findEtcdBinaries,
  findFreePorts,
  type RunningProgram,
  requireProgram,
  srvAnswer,
  startEtcdCluster,
  startFakeResolver,
  startFaultRelay,
  startProgram,
} from "@etcd-edge/testkit";
import { expect, it } from "vitest";

const execute = promisify(execFile);
const newest = (await findEtcdBinaries()).at(-1);
if (newest === undefined) throw new Error("no etcd to test with");
const dig = await requireProgram("dig");
const root = join(import.meta.dirname, "..", "..", "..");

function start(tier: string, flags: readonly string[]): RunningProgram {
  return startProgram(process.execPath, [join(root, "apps", tier, "src", "main.ts"), "start", ...flags]);
}

interface Set {
  readonly endpoints: readonly { readonly url: string; readonly alive: boolean }[];
}

/** Follows a tier at one replica of discovery until those and no others are alive. */
async function untilAlive(discovery: string, tier: string, urls: readonly string[]): Promise<void> {
  for (let etag = ""; ; ) {
    const response = await fetch(`${discovery}/v1/endpoints?tier=${tier}&wait=10s`, {
      headers: { "if-none-match": etag },
    });
    if (response.status === 304) continue;
    const alive = ((await response.json()) as Set).endpoints.filter((one) => one.alive).map(({ url }) => url);
    if (JSON.stringify(alive.sort()) === JSON.stringify([...urls].sort())) return;
    etag = response.headers.get("etag") ?? "";
  }
}

it("tiers find each other by two discoveries, which tell HTTP, DNS and the resolver prefix alike", async () => {
  await using undo = new AsyncDisposableStack();
  const cluster = undo.use(await startEtcdCluster({ binary: newest }));
  const [proxyPort, gatewayPort, strangerPort] = await findFreePorts(3);
  const [proxyUrl, gatewayUrl, strangerUrl] = [proxyPort, gatewayPort, strangerPort].map(
    (port) => `127.0.0.1:${port}`,
  );
  const prefix = "___edge";
  const registry = ["--resolver-prefix=___edge", "--resolver-ttl=5"];
  const entries = async (): Promise<Map<string, string>> => {
    const { stdout } = await cluster.etcdctl(["get", "--prefix", `${prefix}/`, "-w", "json"]);
    const { kvs = [] } = JSON.parse(stdout) as { kvs?: { key: string; value: string }[] };
    const text = (base64: string): string => Buffer.from(base64, "base64").toString();
    return new Map(kvs.map(({ key, value }) => [text(key).slice(prefix.length + 1), text(value)]));
  };
  const untilEntries = async (fits: (names: readonly string[]) => boolean): Promise<void> => {
    const names = async (): Promise<boolean> => fits([...(await entries()).keys()]);
    await expect.poll(names, { timeout: 120_000, interval: 100 }).toBe(true);
  };

  const discoveries: { program: RunningProgram; url: string; dnsPort: string }[] = [];
  for (let i = 0; i < 2; i++) {
    const program = undo.use(
      start("discovery", [
        "--listen-addr=127.0.0.1:0",
        "--dns-addr=127.0.0.1:0",
        "--domain=etcd.test",
        `--endpoints=${cluster.endpoints.join(",")}`,
        ...registry,
      ]),
    );
    const line = JSON.parse(await program.waitForLine("ready to serve discovery requests")) as Record<
      string,
      string
    >;
    discoveries.push({ program, url: line["url"] ?? "", dnsPort: line["dns-addr"]?.split(":")[1] ?? "" });
  }
  const urls = discoveries.map(({ url }) => url);

  // A proxy that registers itself, found by both through etcd.
  undo.use(
    start("grpc-proxy", [
      `--endpoints=${cluster.endpoints.join(",")}`,
      `--listen-addr=${proxyUrl}`,
      `--advertise-client-url=${proxyUrl}`,
      ...registry,
    ]),
  );
  for (const url of urls) await untilAlive(url, "grpc-proxy", [proxyUrl ?? ""]);

  // A gateway that has no etcd to write to, in front of that proxy by its tier's name.
  const gateway = undo.use(
    start("tcp-gateway", [
      `--listen-addr=${gatewayUrl}`,
      `--advertise-url=${gatewayUrl}`,
      `--discovery-url=${urls.join(",")}`,
      "--discovery-tier=grpc-proxy",
    ]),
  );
  for (const url of urls) await untilAlive(url, "tcp-gateway", [gatewayUrl ?? ""]);
  const through = await cluster.etcdctl(["put", "greeting", "hello"], [gatewayUrl ?? ""]);
  expect(through.stdout.trim()).toBe("OK");

  // One of the two has entered it; the other leaves it alone.
  await untilEntries((names) => names.includes(gatewayUrl ?? "") && names.includes(proxyUrl ?? ""));
  expect(JSON.parse((await entries()).get(gatewayUrl ?? "") ?? "")).toMatchObject({
    Op: 0,
    Addr: gatewayUrl,
  });

  for (const { dnsPort } of discoveries) {
    const ask = async (...args: string[]): Promise<string> =>
      (await execute(dig, ["@127.0.0.1", "-p", dnsPort, "+short", ...args])).stdout.trim();
    expect(await ask("_etcd-client._tcp.grpc-proxy.etcd.test", "SRV")).toBe(
      `0 0 ${proxyPort} ip-127-0-0-1.etcd.test.`,
    );
    expect(await ask("_etcd-client._tcp.tcp-gateway.etcd.test", "SRV")).toBe(
      `0 0 ${gatewayPort} ip-127-0-0-1.etcd.test.`,
    );
    expect(await ask("grpc-proxy.etcd.test", "A")).toBe("127.0.0.1");
    expect(await ask("_etcd-client._tcp.members.etcd.test", "SRV")).toBe(
      await ask("_etcd-client._tcp.etcd.test", "SRV"),
    );
    expect(await ask("_etcd-client._tcp.http-gateway.etcd.test", "SRV")).toBe("");
  }

  // A key that somebody else has put stays his, though a replica tells of the same address.
  await cluster.etcdctl(["put", `${prefix}/${strangerUrl}`, "theirs"]);
  for (const url of urls) {
    const response = await fetch(`${url}/v1/presence`, {
      method: "POST",
      body: JSON.stringify({
        v: 1,
        id: "stranger",
        tier: "tcp-gateway",
        name: "stranger",
        url: strangerUrl,
        version: "0",
        uptimeSeconds: 1,
        ttlMs: 60_000,
        stats: {},
      }),
    });
    expect(response.status).toBe(204);
  }
  for (const { program } of discoveries) await program.waitForLine("the key is under somebody else's lease");
  expect((await entries()).get(strangerUrl ?? "")).toBe("theirs");

  const [first = ""] = urls;
  const fleet = (await (await fetch(`${first}/v1/fleet`)).json()) as {
    members: unknown[];
    tiers: { name: string; replicas: { url?: string; stats: Record<string, number> }[] }[];
  };
  expect(fleet.members).toHaveLength(1);
  const gateways = fleet.tiers.find(({ name }) => name === "tcp-gateway");
  expect(
    gateways?.replicas.find(({ url }) => url === gatewayUrl)?.stats["connections"],
  ).toBeGreaterThanOrEqual(0);
  const refused = await fetch(`${first}/v1/presence`, { method: "POST", body: "{}" });
  expect([refused.status, await refused.text()]).toEqual([400, "not a presence\n"]);
  expect((await fetch(`${first}/v1/endpoints?tier=nothing`)).status).toBe(404);

  gateway.signal("SIGTERM");
  expect(await gateway.exited).toBe(0);
  for (const url of urls) await untilAlive(url, "tcp-gateway", []);
  await untilEntries((names) => !names.includes(gatewayUrl ?? ""));
});

it("a gateway follows a tier over NATS, and says where it is itself", async () => {
  await using undo = new AsyncDisposableStack();
  const cluster = undo.use(await startEtcdCluster({ binary: newest }));
  const [natsPort, proxyPort, gatewayPort] = await findFreePorts(3);
  const nats = undo.use(
    startProgram(await requireProgram("nats-server"), ["-a", "127.0.0.1", "-p", String(natsPort)]),
  );
  await nats.waitForLine("Server is ready");
  const onNats = `--nats-url=nats://127.0.0.1:${natsPort}`;
  const endpoints = `--endpoints=${cluster.endpoints.join(",")}`;
  const discovery = undo.use(
    start("discovery", ["--listen-addr=127.0.0.1:0", "--dns-addr=", endpoints, onNats]),
  );
  const { url = "" } = JSON.parse(await discovery.waitForLine("ready to serve discovery requests")) as Record<
    string,
    string
  >;
  const proxyUrl = `127.0.0.1:${proxyPort}`;
  undo.use(
    start("grpc-proxy", [
      `--discovery-url=${url}`,
      `--listen-addr=${proxyUrl}`,
      `--advertise-client-url=${proxyUrl}`,
      onNats,
    ]),
  );
  await untilAlive(url, "grpc-proxy", [proxyUrl]);
  const gatewayUrl = `127.0.0.1:${gatewayPort}`;
  const gateway = undo.use(
    start("tcp-gateway", [
      `--listen-addr=${gatewayUrl}`,
      `--advertise-url=${gatewayUrl}`,
      "--discovery-fabric",
      "--discovery-tier=grpc-proxy",
      onNats,
    ]),
  );
  await gateway.waitForLine("endpoints from discovery changed");
  await untilAlive(url, "tcp-gateway", [gatewayUrl]);
  expect((await cluster.etcdctl(["put", "a", "b"], [gatewayUrl])).stdout.trim()).toBe("OK");
});

it("proxies and doors follow over NATS what discovery finds, and leave for good what it no longer finds", async () => {
  await using undo = new AsyncDisposableStack();
  const cluster = undo.use(await startEtcdCluster({ binary: newest }));
  const [natsPort] = await findFreePorts(1);
  const nats = undo.use(
    startProgram(await requireProgram("nats-server"), ["-a", "127.0.0.1", "-p", String(natsPort)]),
  );
  await nats.waitForLine("Server is ready");
  const onNats = `--nats-url=nats://127.0.0.1:${natsPort}`;
  // Two ways to the one member: the records name the first, then the second.
  const ways = [
    await startFaultRelay(cluster.endpoints[0] ?? ""),
    await startFaultRelay(cluster.endpoints[0] ?? ""),
  ];
  for (const way of ways) undo.use(way);
  const [first = "", second = ""] = ways.map(({ address }) => address);
  let target = first;
  const name = "_etcd-client._tcp.d.test";
  const dns = undo.use(
    await startFakeResolver((question) =>
      question === `SRV ${name}`
        ? { answers: [srvAnswer(name, "localhost", Number(target.split(":")[1]), { ttl: 1 })] }
        : { flags: 3 },
    ),
  );
  const listening = {
    "grpc-proxy": "listening for gRPC proxy client requests",
    "http-gateway": "ready to serve",
  };
  const tiers = Object.entries(listening).map(([tier, line]) => ({
    line,
    program: undo.use(start(tier, ["--listen-addr=127.0.0.1:0", "--discovery-fabric", onNats])),
  }));
  const urls: string[] = [];
  for (const { program, line } of tiers) {
    const { address = "" } = JSON.parse(await program.waitForLine(line)) as { address?: string };
    urls.push(address);
  }
  const [proxy = "", door = ""] = urls;
  undo.use(
    start("discovery", [
      ...["--listen-addr=127.0.0.1:0", "--dns-addr=", "--discovery-srv=d.test", "--insecure-discovery"],
      ...[`--dns-servers=${dns.address}`, "--endpoints-auto-sync-interval=0", onNats],
    ]),
  );
  const told = (address: string): string =>
    `"endpoints from discovery changed","endpoints":["http://localhost.:${address.split(":")[1]}"]`;
  const works = async (): Promise<void> => {
    expect((await cluster.etcdctl(["put", "greeting", "hello"], [proxy])).stdout.trim()).toBe("OK");
    const answer = await fetch(`${door}/v3/kv/range`, { method: "POST", body: '{"key":"Z3JlZXRpbmc="}' });
    expect(await answer.json()).toMatchObject({ kvs: [{ value: "aGVsbG8=" }] });
  };
  for (const { program } of tiers) await program.waitForLine(told(first));
  await works();
  target = second;
  for (const { program } of tiers) await program.waitForLine(told(second));
  await ways[0]?.[Symbol.asyncDispose]();
  await works();
});

it.each([
  [["--discovery-fabric"], "--discovery-fabric needs --nats-url"],
  [
    ["--discovery-fabric", "--nats-url=nats://127.0.0.1:1", "--discovery-url=http://127.0.0.1:1"],
    "--discovery-fabric excludes --discovery-srv and --discovery-url",
  ],
])("tcp-gateway refuses %j", async (flags, problem) => {
  await using gateway = start("tcp-gateway", ["--listen-addr=127.0.0.1:0", ...flags]);
  expect(await gateway.exited).toBe(1);
  expect(gateway.output()).toContain(problem);
});
