import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  createAuthority,
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  requireProgram,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  aliveUrls,
  type DiscoveryProcess,
  type EndpointSetJson,
  setThat,
  startDiscovery,
} from "./discovery-process.ts";

const execute = promisify(execFile);
const newest = (await findEtcdBinaries()).at(-1);
if (newest === undefined) throw new Error("no etcd to test with");
const dig = await requireProgram("dig");

describe("in front of three members, told of one", () => {
  let cluster: EtcdCluster;
  let discovery: DiscoveryProcess;
  let urls: string[];
  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary: newest, members: 3 });
    urls = cluster.members.map(({ clientUrl }) => clientUrl).sort();
    discovery = await startDiscovery([
      `--endpoints=${cluster.endpoints[0]}`,
      "--metrics-addr=http://127.0.0.1:0",
    ]);
  });
  afterAll(async () => {
    await discovery[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  const digFor = async (...args: string[]): Promise<string> =>
    (await execute(dig, ["@127.0.0.1", "-p", String(discovery.dnsPort), "+tries=1", ...args])).stdout;

  it("finds all three by the member list, with their names and peers", async () => {
    const set = await setThat(discovery, (one) => aliveUrls(one).length === 3);
    expect(aliveUrls(set)).toEqual(urls);
    expect(set.endpoints.map(({ name }) => name).sort()).toEqual(["m1", "m2", "m3"]);
    expect(set.peers.map(({ url }) => url).sort()).toEqual(
      cluster.members.map(({ peerUrl }) => peerUrl).sort(),
    );
  });

  it("answers dig: SRV with addresses, NXDOMAIN, no data, over UDP and TCP", async () => {
    const answer = await digFor("+norecurse", "_etcd-client._tcp.etcd.test", "SRV");
    expect(answer).toContain("status: NOERROR");
    expect(answer).toMatch(/flags: qr aa;/);
    for (const { clientAddress } of cluster.members) {
      const port = clientAddress.split(":")[1];
      expect(answer).toMatch(new RegExp(`IN\\s+SRV\\s+0 0 ${port} ip-127-0-0-1\\.etcd\\.test\\.`));
    }
    expect(answer).toMatch(/ip-127-0-0-1\.etcd\.test\.\s+5\s+IN\s+A\s+127\.0\.0\.1/);
    expect(await digFor("+tcp", "+short", "_etcd-client._tcp.etcd.test", "SRV")).toMatch(
      /^(0 0 \d+ ip-127-0-0-1\.etcd\.test\.\n){3}$/,
    );
    expect(await digFor("nobody.etcd.test")).toContain("status: NXDOMAIN");
    const none = await digFor("_etcd-client-ssl._tcp.etcd.test", "SRV");
    expect(none).toContain("status: NOERROR");
    expect(none).toContain("ANSWER: 0, AUTHORITY: 1");
    expect(await digFor("example.com")).toContain("status: REFUSED");
    expect(await digFor("+short", "_etcd-server._tcp.etcd.test", "SRV")).toMatch(
      /^(0 0 \d+ ip-127-0-0-1\.etcd\.test\.\n){3}$/,
    );
  });

  it("answers Node's resolver", async () => {
    const resolver = new Resolver();
    resolver.setServers([discovery.dnsAddress]);
    const records = await resolver.resolveSrv("_etcd-client._tcp.etcd.test");
    expect(records.map(({ name, port }) => `http://127.0.0.1:${port} at ${name}`).sort()).toEqual(
      urls.map((url) => `${url} at ip-127-0-0-1.etcd.test`),
    );
    expect(await resolver.resolve4("ip-127-0-0-1.etcd.test", { ttl: true })).toEqual([
      { address: "127.0.0.1", ttl: 5 },
    ]);
    await expect(resolver.resolve6("ip-127-0-0-1.etcd.test")).rejects.toMatchObject({ code: "ENODATA" });
    await expect(resolver.resolveSrv("_other._tcp.etcd.test")).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  it("answers 304 to whoever knows the set, 405 and 400 to the rest", async () => {
    const first = await fetch(`${discovery.url}/v1/endpoints`);
    const etag = first.headers.get("etag") ?? "";
    await first.arrayBuffer();
    const again = await fetch(`${discovery.url}/v1/endpoints`, { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
    expect((await fetch(`${discovery.url}/v1/endpoints`, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${discovery.url}/v1/endpoints?wait=5`)).status).toBe(400);
    expect((await fetch(`${discovery.url}/other`)).status).toBe(404);
  });

  it("takes a killed member out of DNS and HTTP, tells waiting clients at once, and takes it back", async () => {
    await setThat(discovery, (one) => aliveUrls(one).length === 3);
    const member = cluster.members[2];
    const stream = await fetch(`${discovery.url}/v1/endpoints`, { headers: { accept: "text/event-stream" } });
    const events = readEvents(stream);
    expect(aliveUrls(await events())).toEqual(urls);

    await member?.kill();
    const rest = urls.filter((url) => url !== member?.clientUrl);
    let told = await events();
    while (aliveUrls(told).length === 3) told = await events();
    expect(aliveUrls(told)).toEqual(rest);
    expect(aliveUrls(await setThat(discovery, (one) => aliveUrls(one).length === 2))).toEqual(rest);
    const port = member?.clientAddress.split(":")[1] ?? "";
    expect(await digFor("+short", "_etcd-client._tcp.etcd.test", "SRV")).not.toContain(` ${port} `);

    await member?.restart();
    await setThat(discovery, (one) => aliveUrls(one).length === 3);
    expect(await digFor("+short", "_etcd-client._tcp.etcd.test", "SRV")).toContain(` ${port} `);
    await stream.body?.cancel().catch(() => undefined);
  });

  it("has a page whose scripts and styles are the ones its policy allows", async () => {
    const response = await fetch(`${discovery.url}/`);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = response.headers.get("content-security-policy") ?? "";
    const page = await response.text();
    for (const tag of ["script", "style"]) {
      const [, text = ""] = new RegExp(`<${tag}>(.*)</${tag}>`, "s").exec(page) ?? [];
      expect(policy).toContain(`${tag}-src 'sha256-${createHash("sha256").update(text).digest("base64")}'`);
    }
  });

  it("shows its work in metrics", async () => {
    const { url } = JSON.parse(await discovery.waitForLine("listening for metrics")) as { url: string };
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toMatch(/^etcd_edge_discovery_endpoints\{alive="true"\} 3$/m);
    expect(text).toMatch(/^etcd_edge_dns_queries_total\{via="udp",rcode="0"\} [1-9]/m);
    expect(text).toMatch(/^etcd_edge_fabric_connected 1$/m);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });
});

/** Reads the sets of an event stream one by one. */
function readEvents(response: Response): () => Promise<EndpointSetJson> {
  const chunks = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return async () => {
    for (;;) {
      const event = /^data: (.*)\n\n/m.exec(text);
      if (event !== null) {
        text = text.slice(event.index + event[0].length);
        return JSON.parse(event[1] ?? "") as EndpointSetJson;
      }
      const chunk = await chunks?.read();
      if (chunk === undefined || chunk.done) throw new Error("the event stream ended");
      text += chunk.value;
    }
  };
}

describe("without anybody upstream", () => {
  it("runs, answers with what it was given, and heals when etcd comes", async () => {
    await using cluster = await startEtcdCluster({ binary: newest });
    await cluster.members[0]?.kill();
    await using discovery = await startDiscovery([`--endpoints=${cluster.endpoints[0]}`]);
    await discovery.waitForLine('"from":"unknown","to":"ejected"');
    const dead = (await (await fetch(`${discovery.url}/v1/endpoints`)).json()) as EndpointSetJson;
    expect(dead.endpoints).toMatchObject([
      { alive: false, health: expect.stringMatching(/^(ejected|probing)$/) },
    ]);
    const { stdout } = await execute(dig, [
      "@127.0.0.1",
      "-p",
      String(discovery.dnsPort),
      "+short",
      "_etcd-client._tcp.etcd.test",
      "SRV",
    ]);
    expect(stdout).toContain("ip-127-0-0-1.etcd.test.");
    await cluster.members[0]?.restart();
    await setThat(discovery, (one) => aliveUrls(one).length === 1);
  });

  it("ends on SIGTERM with status 0, also while clients wait", async () => {
    await using discovery = await startDiscovery(["--endpoints=127.0.0.1:1"]);
    const set = await fetch(`${discovery.url}/v1/endpoints`);
    await set.arrayBuffer();
    const waiting = fetch(`${discovery.url}/v1/endpoints?wait=50s`, {
      headers: { "if-none-match": set.headers.get("etag") ?? "" },
    }).then(
      (response) => response.arrayBuffer(),
      () => undefined,
    );
    discovery.signal("SIGTERM");
    expect(await discovery.exited).toBe(0);
    await waiting;
  });
});

it("asks for the members as --user where etcd tells them to users only", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "etcd-edge-discovery-"));
  const passwordFile = join(folder.path, "password");
  await writeFile(passwordFile, "pw");
  await using cluster = await startEtcdCluster({ binary: newest });
  await enableAuth(cluster);
  const [endpoint = ""] = cluster.endpoints;
  const given = `--endpoints=${endpoint.replace("127.0.0.1", "localhost")}`;
  await using discovery = await startDiscovery([given, "--user=root", `--password-file=${passwordFile}`]);
  const set = await setThat(discovery, (one) => one.endpoints.some(({ name }) => name === "m1"));
  expect(set.endpoints.map(({ url }) => url)).toEqual([`http://${endpoint}`]);

  await using nobody = await startDiscovery([given]);
  expect(await nobody.waitForLine("failed to get member list")).toContain("user name is empty");
});

it("reads what is registered as the user of --user-cert, and asks for the members", async () => {
  await using authority = await createAuthority();
  const nameless = await authority.issue({ name: "nameless" });
  const edge = await authority.issue({ name: "edge", subject: "CN=edge" });
  const certAuth = { ...nameless, trustedCaFile: authority.caFile };
  await using cluster = await startEtcdCluster({ binary: newest, certAuth });
  await enableAuth(cluster, ["edge"]);
  const root = (...args: string[]) => cluster.etcdctl([...args, "--user=root:pw"]);
  await root("role", "add", "reader");
  await root("role", "grant-permission", "reader", "read", "tiers/", "tiers0");
  await root("user", "grant-role", "edge", "reader");
  await root("put", "tiers/10.0.0.9:1", '{"Op":0,"Addr":"10.0.0.9:1","Metadata":"{\\"name\\":\\"p\\"}"}');
  const [endpoint = ""] = cluster.secureEndpoints;
  await using discovery = await startDiscovery([
    ...[`--endpoints=${endpoint.replace("127.0.0.1", "localhost")}`, `--cacert=${authority.caFile}`],
    ...[`--cert=${nameless.certFile}`, `--key=${nameless.keyFile}`, "--resolver-prefix=tiers"],
    ...[`--user-cert=${edge.certFile}`, `--user-key=${edge.keyFile}`],
  ]);
  const members = await setThat(discovery, (one) => one.endpoints.some(({ name }) => name === "m1"));
  expect(members.endpoints.map(({ url }) => url)).toEqual([`https://${endpoint}`]);
  const proxies = await setThat(discovery, (one) => one.endpoints.length > 0, "grpc-proxy");
  expect(proxies.endpoints[0]?.url).toContain("10.0.0.9:1");
});
