import { findFreePorts, type RunningProgram, requireProgram, startProgram } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { type BusState, createNatsBus, type MessageBus } from "../src/index.ts";

const natsServer = await requireProgram("nats-server");

async function startNats(port: number, args: readonly string[] = []): Promise<RunningProgram> {
  const server = startProgram(natsServer, ["-a", "127.0.0.1", "-p", String(port), ...args]);
  await server.waitForLine("Server is ready");
  return server;
}

async function freePort(): Promise<number> {
  const [port] = await findFreePorts(1);
  if (port === undefined) throw new Error("no port");
  return port;
}

async function reached(bus: MessageBus, t: BusState["t"], error?: RegExp): Promise<void> {
  const fits = (state: BusState): boolean =>
    state.t === t && (error === undefined || (state.t === "connecting" && error.test(state.error ?? "")));
  if (fits(bus.state())) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = bus.onState((state) => {
    if (fits(state)) resolve();
  });
  await promise;
  stop();
}

/** Publishes until it arrives: a subscription takes effect at the server some time after it was made. */
async function roundTrip(from: MessageBus, to: MessageBus, subject: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const leave = to.subscribe(subject, (data) => resolve(Buffer.from(data).toString()));
  const again = setInterval(() => from.publish(subject, Buffer.from("hello")), 20);
  const heard = await promise;
  clearInterval(again);
  leave();
  return heard;
}

describe("createNatsBus", () => {
  it("works without a server, connects when there is one, survives its restart", async () => {
    const port = await freePort();
    const options = { servers: [`nats://127.0.0.1:${port}`], name: "test" };
    await using one = createNatsBus(options);
    await using two = createNatsBus(options);
    one.publish("s", Buffer.from("lost"));
    expect(one.counters.dropped).toBe(1);
    await reached(one, "connecting", /CONNECTION_REFUSED/);
    {
      await using _server = await startNats(port);
      await Promise.all([reached(one, "connected"), reached(two, "connected")]);
      expect(await roundTrip(one, two, "s")).toBe("hello");
    }
    await Promise.all([reached(one, "connecting"), reached(two, "connecting")]);
    await using _again = await startNats(port);
    await Promise.all([reached(one, "connected"), reached(two, "connected")]);
    expect(await roundTrip(two, one, "s")).toBe("hello");
  });

  it("shows credentials, and says that it has none where they are wanted", async () => {
    const port = await freePort();
    await using _server = await startNats(port, ["--user", "u", "--pass", "p"]);
    await using known = createNatsBus({ servers: [`nats://u:p@127.0.0.1:${port}`], name: "test" });
    await using unknown = createNatsBus({ servers: [`nats://127.0.0.1:${port}`], name: "test" });
    await reached(known, "connected");
    await reached(unknown, "connecting", /Authorization/i);
    expect(await roundTrip(known, known, "s")).toBe("hello");
  });

  it("ends at once while it is connecting and while it is connected, also twice", async () => {
    const port = await freePort();
    const waiting = createNatsBus({ servers: [`nats://127.0.0.1:${port}`], name: "test" });
    await waiting[Symbol.asyncDispose]();
    expect(waiting.state()).toEqual({ t: "closed" });
    await using _server = await startNats(port);
    const live = createNatsBus({ servers: [`nats://127.0.0.1:${port}`], name: "test" });
    await reached(live, "connected");
    await live[Symbol.asyncDispose]();
    await live[Symbol.asyncDispose]();
    expect(live.state()).toEqual({ t: "closed" });
  });
});
