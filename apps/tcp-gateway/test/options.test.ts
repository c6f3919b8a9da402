import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePorts, srvAnswer, startFakeResolver } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeProxyHeader } from "../src/proxy-protocol/proxy-header.ts";
import { startGateway } from "./gateway-process.ts";

type EchoServer = { readonly server: Server; readonly port: number; readonly open: Set<Socket> };

async function startEcho(): Promise<EchoServer> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on("error", () => undefined).on("close", () => open.delete(socket));
    socket.pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  return { server, open, port: bound !== null && typeof bound === "object" ? bound.port : 0 };
}

async function stopEcho({ server, open }: EchoServer): Promise<void> {
  server.close();
  for (const socket of open) socket.destroy();
  await once(server, "close");
}

async function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

describe("options of the gateway", () => {
  let echo: EchoServer;
  let endpoints = "";
  beforeAll(async () => {
    echo = await startEcho();
    endpoints = `--endpoints=127.0.0.1:${echo.port}`;
  });
  afterAll(() => stopEcho(echo));

  it("--send-proxy-protocol tells the endpoint who the client is", async () => {
    await using gateway = await startGateway([endpoints, "--send-proxy-protocol=v1"]);
    const client = connect(gateway.port, "127.0.0.1");
    await once(client, "connect");
    const { localPort } = client;
    client.end("hello");
    expect(await readToEnd(client)).toBe(
      `PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${gateway.port}\r\nhello`,
    );
  });

  it.each([
    ["v1", "auto"],
    ["v2", "auto"],
    ["v2", "tcp"],
  ])(
    "--send-proxy-protocol=%s --health-check=%s: an endpoint that demands the header is healthy",
    async (version, check) => {
      await using demanding = await startGateway([endpoints, "--accept-proxy-protocol"]);
      await using gateway = await startGateway([
        `--endpoints=127.0.0.1:${demanding.port}`,
        `--send-proxy-protocol=${version}`,
        `--health-check=${check}`,
        "--log-level=debug",
      ]);
      await gateway.waitForLine(`"from":"unknown","to":"`);
      expect(gateway.output()).toContain(`"from":"unknown","to":"healthy"`);
      const client = connect(gateway.port, "127.0.0.1");
      client.end("hello");
      expect(await readToEnd(client)).toBe("hello");
    },
  );

  it("--listen-addr=unix:// serves there, tells endpoints of nobody, replaces a file left behind and no listener", async () => {
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-gateway-"));
    await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
    const path = join(folder, "s");
    const flags = [endpoints, `--listen-addr=unix://${path}`, "--send-proxy-protocol=v1"];
    const ask = async (): Promise<string> => {
      const client = connect({ path });
      client.end("hello");
      return await readToEnd(client);
    };
    const killed = await startGateway(flags);
    expect(killed.address).toBe(`unix://${path}`);
    expect(await ask()).toBe("PROXY UNKNOWN\r\nhello");
    killed.signal("SIGKILL");
    await killed.exited;
    await using gateway = await startGateway(flags);
    expect(await ask()).toBe("PROXY UNKNOWN\r\nhello");
    await expect(startGateway(flags)).rejects.toThrow(`listen unix ${path}: bind: address already in use`);
    expect(await ask()).toBe("PROXY UNKNOWN\r\nhello");
    gateway.signal("SIGTERM");
    expect(await gateway.exited).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it("--accept-proxy-protocol takes the header, in pieces too, passes it on, and closes whoever has none", async () => {
    await using gateway = await startGateway([
      endpoints,
      "--accept-proxy-protocol",
      "--send-proxy-protocol=v1",
    ]);
    const header = encodeProxyHeader(
      { sourceAddress: "192.0.2.1", sourcePort: 5, destinationAddress: "192.0.2.2", destinationPort: 6 },
      2,
    );
    const client = connect({ port: gateway.port, host: "127.0.0.1", noDelay: true });
    client.write(header.subarray(0, 5));
    await new Promise((resolve) => setImmediate(resolve));
    client.write(Buffer.concat([header.subarray(5), Buffer.from("early ")]));
    client.end("late");
    expect(await readToEnd(client)).toBe("PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\nearly late");
    const stranger = connect(gateway.port, "127.0.0.1");
    stranger.write("GET / HTTP/1.1\r\n\r\n");
    expect(await readToEnd(stranger)).toBe("");
  });

  it("--max-connections-per-address counts the client behind the proxy", async () => {
    await using gateway = await startGateway([
      endpoints,
      "--accept-proxy-protocol",
      "--max-connections-per-address=1",
    ]);
    const from = (sourceAddress: string): Socket => {
      const client = connect(gateway.port, "127.0.0.1");
      client.write(`PROXY TCP4 ${sourceAddress} 192.0.2.9 1 2\r\nx`);
      return client;
    };
    const first = from("192.0.2.1");
    await once(first, "data");
    expect(await readToEnd(from("192.0.2.1"))).toBe("");
    const other = from("192.0.2.2");
    await once(other, "data");
    first.destroy();
    other.destroy();
  });

  it("--idle-timeout closes a connection on which nothing moves", async () => {
    await using gateway = await startGateway([endpoints, "--idle-timeout=1s"]);
    const client = connect({ port: gateway.port, host: "127.0.0.1", allowHalfOpen: true });
    client.write("x");
    expect(await readToEnd(client.on("end", () => client.end()))).toBe("x");
  });

  it("--reuse-port lets a new gateway take over while the old one drains, and no client fails", async () => {
    const [port = 0] = await findFreePorts(1);
    const flags = [endpoints, `--listen-addr=127.0.0.1:${port}`, "--reuse-port"];
    await using old = await startGateway(flags);
    const kept = connect(old.port, "127.0.0.1");
    kept.write("kept ");
    await once(kept, "data");
    await using _next = await startGateway(flags);
    old.signal("SIGTERM");
    await old.waitForLine('"msg":"stopped accepting connections"');
    for (let n = 0; n < 20; n += 1) {
      const client = connect(port, "127.0.0.1");
      client.end("served");
      expect(await readToEnd(client)).toBe("served");
    }
    kept.end("alive");
    expect(await readToEnd(kept)).toBe("alive");
    expect(await old.exited).toBe(0);
  });

  it("moves clients when SRV moves: none fails, and those of the endpoint that left are closed in the grace period", async () => {
    const next = await startEcho();
    const name = "_etcd-client._tcp.d.test";
    let target = echo.port;
    await using dns = await startFakeResolver((question) =>
      question === `SRV ${name}`
        ? { answers: [srvAnswer(name, "localhost", target, { ttl: 1 })] }
        : { flags: 3 },
    );
    await using gateway = await startGateway([
      "--discovery-srv=d.test",
      `--dns-servers=${dns.address}`,
      "--insecure-discovery",
      "--removed-endpoint-grace-period=300ms",
    ]);
    const lasting = connect(gateway.port, "127.0.0.1");
    lasting.write("x");
    await once(lasting, "data");
    const lastingEnded = readToEnd(lasting);

    let isMoved = false;
    let failures = 0;
    let requests = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (!isMoved) {
        const client = connect(gateway.port, "127.0.0.1");
        client.end("ping");
        requests += 1;
        if ((await readToEnd(client)) !== "ping") failures += 1;
      }
    });
    target = next.port;
    await gateway.waitForLine(`"msg":"endpoint removed","address":"localhost.:${echo.port}"`);
    await lastingEnded;
    const before = requests;
    while (requests < before + 20) await new Promise((resolve) => setImmediate(resolve));
    isMoved = true;
    await Promise.all(load);
    expect(failures).toBe(0);
    const client = connect(gateway.port, "127.0.0.1");
    client.write("x");
    await once(client, "data");
    // The endpoint may not have seen the last of the load end yet.
    while (next.open.size > 1) await new Promise((resolve) => setImmediate(resolve));
    expect(next.open.size).toBe(1);
    client.destroy();
    await stopEcho(next);
  });
});
