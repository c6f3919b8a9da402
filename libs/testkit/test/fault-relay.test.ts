import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FaultRelay, startFaultRelay } from "../src/index.ts";

async function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return server;
}

const addressOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;

describe("the fault relay, in front of an echo", () => {
  const clients: Socket[] = [];
  let echo: Server;
  let elsewhere: Server;
  let relay: FaultRelay;

  beforeAll(async () => {
    echo = await listen((socket) => void socket.pipe(socket));
    elsewhere = await listen((socket) => void socket.end("elsewhere"));
    relay = await startFaultRelay(addressOf(echo), () => 0.5);
  });
  afterAll(async () => {
    for (const client of clients) client.destroy();
    await relay[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
    echo.close();
    elsewhere.close();
  });

  /** A client that has heard the echo: both halves of its way stand. */
  async function connected(): Promise<Socket> {
    const [host = "", port = ""] = relay.address.split(":");
    const socket = connect({ host, port: Number(port), noDelay: true });
    clients.push(socket);
    socket.on("error", () => {});
    socket.write("!");
    await once(socket, "data");
    return socket;
  }

  it("passes bytes both ways, and an end", async () => {
    const socket = await connected();
    let length = 0;
    socket.on("data", (chunk) => {
      length += chunk.length;
    });
    socket.end(Buffer.alloc(2_000_000, 1));
    await once(socket, "end");
    expect(length).toBe(2_000_000);
  });

  it("delays both ways", async () => {
    const socket = await connected();
    relay.setWeather({ delayMs: [40, 60] });
    const start = performance.now();
    socket.write("a");
    await once(socket, "data");
    relay.setWeather({});
    expect(performance.now() - start).toBeGreaterThan(2 * 40 - 2);
  });

  it("holds everything while it is partitioned", async () => {
    const socket = await connected();
    relay.setWeather({ isPartitioned: true });
    let isHealed = false;
    const answer = once(socket, "data").then(([chunk]) => ({ text: String(chunk), isHealed }));
    socket.write("kept");
    await new Promise((resolve) => setTimeout(resolve, 100));
    isHealed = true;
    relay.setWeather({});
    expect(await answer).toEqual({ text: "kept", isHealed: true });
  });

  it("cuts what is open, and goes elsewhere", async () => {
    const socket = await connected();
    const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
    relay.retarget(addressOf(elsewhere));
    await closed;
    const again = connect({ host: "127.0.0.1", port: Number(relay.address.split(":")[1]) });
    clients.push(again);
    const [chunk] = await once(again, "data");
    expect(String(chunk)).toBe("elsewhere");
  });
});
