import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import {
  type EtcdCluster,
  findEtcdBinaries,
  srvAnswer,
  startEtcdCluster,
  startFakeResolver,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway } from "./gateway-process.ts";

const newest = (await findEtcdBinaries()).at(-1);
if (newest === undefined) throw new Error("no etcd to test with");

/** What arrives until the other side ends or breaks the connection. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("close", resolve)); // not events.once, which rejects on errors
  return text;
}

describe("in front of three etcd members", () => {
  let cluster: EtcdCluster;
  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary: newest, members: 3 });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  it("serves etcdctl, also while one member is stopped and when one is killed and comes back", async () => {
    await using gateway = await startGateway([
      `--endpoints=${cluster.endpoints.join(",")}`,
      "--retry-delay=1s",
      "--log-level=debug",
    ]);
    const etcdctl = (...args: string[]) =>
      cluster.etcdctl(["--command-timeout=5s", "--dial-timeout=5s", ...args], [gateway.address]);
    // Not of a quorum: the member that is stopped may be the leader, and then there is none for a while.
    const get = ["get", "foo", "--print-value-only", "--consistency=s"];
    expect((await etcdctl("put", "foo", "bar")).stdout).toBe("OK\n");

    const [, second, third] = cluster.members;
    await second?.stop();
    const stoppedAtMs = performance.now();
    await gateway.waitForLine(`"address":"${second?.clientAddress}","from":"healthy","to":"suspect"`);
    expect(performance.now() - stoppedAtMs).toBeLessThan(20_000); // two seconds, where the machine is not busy
    // From here on nobody meets the stopped member: ten new connections, none of them fails.
    for (let n = 0; n < 10; n += 1) expect((await etcdctl(...get)).stdout).toBe("bar\n");
    second?.resume();

    await third?.kill();
    for (let n = 0; n < 6; n += 1) expect((await etcdctl(...get)).stdout).toBe("bar\n");
    await gateway.waitForLine('"msg":"deactivated endpoint"');
    await third?.restart();
    await gateway.waitForLine(`"msg":"activated","address":"${third?.clientAddress}"`);
  });

  it("shows its work in metrics and on /readyz", async () => {
    await using gateway = await startGateway([
      `--endpoints=${cluster.endpoints.join(",")}`,
      "--metrics-addr=http://127.0.0.1:0",
    ]);
    const { url } = JSON.parse(await gateway.waitForLine("listening for metrics")) as { url: string };
    await cluster.etcdctl(["get", "foo"], [gateway.address]);
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toMatch(/^etcd_edge_gateway_accepted_connections_total [1-9]/m);
    expect(text).toMatch(/^etcd_edge_gateway_client_bytes_total [1-9]/m);
    expect(text).toMatch(/^etcd_edge_gateway_upstream_bytes_total [1-9]/m);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });
});

describe("with nobody upstream", () => {
  it("closes clients at once without a byte and is not ready", async () => {
    await using gateway = await startGateway([
      "--endpoints=127.0.0.1:1",
      "--metrics-addr=http://127.0.0.1:0",
    ]);
    await gateway.waitForLine('"msg":"deactivated endpoint"');
    expect(await readToEnd(connect(gateway.port, "127.0.0.1"))).toBe("");
    const { url } = JSON.parse(await gateway.waitForLine("listening for metrics")) as { url: string };
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
  });
});

describe("in front of an echo server", () => {
  const greeted = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  let endpoints = "";
  let port = 0;
  beforeAll(async () => {
    greeted.listen(0, "127.0.0.1");
    await once(greeted, "listening");
    const bound = greeted.address();
    port = bound !== null && typeof bound === "object" ? bound.port : 0;
    endpoints = `--endpoints=127.0.0.1:${port}`;
  });
  afterAll(async () => {
    greeted.close();
    await once(greeted, "close");
  });

  it("lets connections finish after SIGTERM, takes no new ones, and exits 0; a second signal changes nothing", async () => {
    await using gateway = await startGateway([endpoints]);
    const client = connect(gateway.port, "127.0.0.1");
    client.write("before");
    await once(client, "data");
    gateway.signal("SIGTERM");
    await gateway.waitForLine('"msg":"shutting down"');
    gateway.signal("SIGINT");
    const late = connect(gateway.port, "127.0.0.1");
    await once(late, "error");
    client.end("after");
    expect(await readToEnd(client)).toBe("after");
    expect(await gateway.exited).toBe(0);
  });

  it("cuts what is left when the grace period is over, and exits 0", async () => {
    await using gateway = await startGateway([endpoints, "--shutdown-grace-period=100ms"]);
    const client = connect(gateway.port, "127.0.0.1");
    client.write("x");
    await once(client, "data");
    gateway.signal("SIGINT");
    await readToEnd(client);
    expect(await gateway.exited).toBe(0);
  });

  it("holds the limit of connections", async () => {
    await using gateway = await startGateway([endpoints, "--max-connections=1"]);
    const first = connect(gateway.port, "127.0.0.1");
    first.write("x");
    await once(first, "data");
    expect(await readToEnd(connect(gateway.port, "127.0.0.1"))).toBe("");
    first.destroy();
  });

  it("outlives the want of file descriptors and blames no endpoint", async () => {
    await using gateway = await startGateway([endpoints, "--health-check=none"], { maxFiles: 64 });
    const crowd = Array.from({ length: 100 }, () =>
      connect(gateway.port, "127.0.0.1").on("error", () => undefined),
    );
    const closed = crowd.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const socket of crowd) socket.write("x");
    await Promise.race(closed);
    for (const socket of crowd) socket.destroy();
    await Promise.all(closed);
    // Descriptors come back as the gateway notices; the first client that gets through proves it.
    for (;;) {
      const client = connect(gateway.port, "127.0.0.1").on("error", () => undefined);
      client.end("still here");
      if ((await readToEnd(client)) === "still here") break;
    }
    expect(gateway.output()).not.toContain("deactivated endpoint");
  });

  it("follows SRV records by their TTL", async () => {
    const name = "_etcd-client._tcp.d.test";
    let target = 1;
    await using dns = await startFakeResolver((question) =>
      question === `SRV ${name}`
        ? { answers: [srvAnswer(name, "localhost", target, { ttl: 1 })] }
        : { flags: 3 },
    );
    await using gateway = await startGateway([
      "--discovery-srv=d.test",
      `--dns-servers=${dns.address}`,
      "--insecure-discovery",
    ]);
    await gateway.waitForLine('"msg":"deactivated endpoint"');
    target = port;
    await gateway.waitForLine('"msg":"endpoint removed","address":"localhost.:1"');
    const client = connect(gateway.port, "127.0.0.1");
    client.end("moved");
    expect(await readToEnd(client)).toBe("moved");
  });
});
