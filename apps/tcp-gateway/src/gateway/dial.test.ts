import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { type Endpoint, endpointAddress, parseEndpoint } from "@etcd-edge/endpoints";
import { startProgram } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dialAny } from "./dial.ts";

function at(port: number): Endpoint {
  const parsed = parseEndpoint(`127.0.0.1:${port}`);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

function portOf(server: Server): number {
  const bound = server.address();
  return bound !== null && typeof bound === "object" ? bound.port : 0;
}

const onread = () => ({ buffer: Buffer.alloc(16), callback: () => true });

async function dial(endpoints: readonly Endpoint[], timeoutMs = 1_000) {
  const failures: string[] = [];
  const result = await dialAny({
    pick: (tried) => endpoints.find((endpoint) => !tried.has(endpointAddress(endpoint))),
    timeoutMs,
    onread,
    onFailure: (endpoint, error) => failures.push(`${endpoint.port}: ${error}`),
  });
  if (result.t === "connected") result.socket.destroy();
  return { result, failures };
}

describe("dialAny", () => {
  let alive: Server;
  let deadPort = 0;
  beforeAll(async () => {
    alive = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
    await once(alive, "listening");
    const dead = createServer().listen(0, "127.0.0.1");
    await once(dead, "listening");
    deadPort = portOf(dead);
    dead.close();
    await once(dead, "close");
  });
  afterAll(async () => {
    alive.close();
    await once(alive, "close");
  });

  it("goes on to the next endpoint when one refuses", async () => {
    const { result, failures } = await dial([at(deadPort), at(portOf(alive))]);
    expect(result).toMatchObject({ t: "connected", endpoint: { port: portOf(alive) } });
    expect(failures).toEqual([`${deadPort}: connect ECONNREFUSED 127.0.0.1:${deadPort}`]);
  });

  it("has nobody when all refuse, having tried each once", async () => {
    const { result, failures } = await dial([at(deadPort)]);
    expect(result).toEqual({ t: "nobody" });
    expect(failures).toHaveLength(1);
  });

  it("goes on to the next endpoint when one does not answer in time", async () => {
    // A listener whose queue is full and which never accepts: the kernel drops further connection requests. It stops in the turn in
    // which it listens, so that it has accepted none.
    const script = `require("net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, function () {
      require("fs").writeSync(1, "port " + this.address().port + "\\n"); process.kill(process.pid, "SIGSTOP"); })`;
    await using program = startProgram(process.execPath, ["-e", script]);
    const port = Number((await program.waitForLine("port ")).replace("port ", ""));
    const fillers = Array.from({ length: 8 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
    await Promise.all(fillers.slice(0, 2).map((socket) => once(socket, "connect")));

    const { result, failures } = await dial([at(port), at(portOf(alive))]);
    expect(result).toMatchObject({ t: "connected", endpoint: { port: portOf(alive) } });
    expect(failures).toEqual([`${port}: dial 127.0.0.1:${port}: i/o timeout`]);
    for (const socket of fillers) socket.destroy();
  });
});
