import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type EtcdCluster,
  findEtcdBinaries,
  srvAnswer,
  startEtcdCluster,
  startFakeResolver,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { exchange } from "./support/http-exchange.ts";
import { startGateway } from "./support/running-gateway.ts";

const [binary] = (await findEtcdBinaries()).slice(-1);
if (binary === undefined) throw new Error("no etcd");
let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcdCluster({ binary });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const read = async (url: string): Promise<number> =>
  (await exchange(url, { method: "POST", path: "/v3/kv/range", body: '{"key":"YQ=="}' })).status;

it("follows the endpoints that the discovery tier tells", async () => {
  let urls: readonly string[] = [];
  let changed = Promise.withResolvers<void>();
  const server: Server = createServer(async (request, response) => {
    if (request.headers["if-none-match"] === `"${urls.length}"`) {
      await Promise.race([changed.promise, once(response, "close")]);
    }
    response
      .setHeader("etag", `"${urls.length}"`)
      .end(JSON.stringify({ endpoints: urls.map((url) => ({ url })) }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const discovery = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  {
    await using gateway = await startGateway([], ["--endpoints=", `--discovery-url=${discovery}`]);
    expect(await read(gateway.url)).toBe(503);
    urls = [`http://${cluster.endpoints[0]}`];
    changed.resolve();
    changed = Promise.withResolvers();
    await expect.poll(() => read(gateway.url), { timeout: 30_000 }).toBe(200);
    // What etcd's own door shows is asked of whoever is there now.
    const version = await exchange(gateway.url, { method: "GET", path: "/version" });
    expect(version.body).toContain(`"etcdserver":"${binary?.version}"`);
  }
  server.close();
  server.closeAllConnections();
  await once(server, "close");
});

it("finds endpoints by SRV records", async () => {
  const [, port = ""] = (cluster.endpoints[0] ?? "").split(":");
  await using resolver = await startFakeResolver((question) => {
    const name = "_etcd-client._tcp.example.test";
    return { answers: question === `SRV ${name}` ? [srvAnswer(name, "localhost", Number(port))] : [] };
  });
  const flags = ["--discovery-srv=example.test", "--insecure-discovery", `--dns-servers=${resolver.address}`];
  await using gateway = await startGateway(["127.0.0.1:1"], flags);
  await expect.poll(() => read(gateway.url), { timeout: 30_000 }).toBe(200);
});

it.each([
  ["--discovery-url=ftp://x", "must be an http or https URL"],
  ["--redis-url=http://x", "must be redis://"],
  ["--trusted-proxies=10.0.0.0/99", 'invalid "--trusted-proxies"'],
  ["--max-json-depth=0", "must be greater than 0"],
  ["--write-timeout=0s", "must be greater than 0"],
])("refuses %s", async (flag, message) => {
  await expect(startGateway(cluster.endpoints, [flag])).rejects.toThrow(message);
});
