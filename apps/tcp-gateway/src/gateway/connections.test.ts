import { Socket } from "node:net";
import { type Endpoint, parseEndpoint } from "@etcd-edge/endpoints";
import type { Clock } from "@etcd-edge/runtime";
import { describe, expect, it } from "vitest";
import { type Connection, Connections } from "./connections.ts";

function createManualClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  let timers: { atMs: number; fire: () => void }[] = [];
  return {
    nowMs: () => now,
    setTimer(delayMs, fire) {
      const timer = { atMs: now + delayMs, fire };
      timers.push(timer);
      return { stop: () => (timers = timers.filter((other) => other !== timer)) };
    },
    advance(ms) {
      const until = now + ms;
      const next = () => timers.filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs)[0];
      for (let due = next(); due !== undefined; due = next()) {
        const { fire } = due;
        now = due.atMs;
        timers = timers.filter((other) => other !== due);
        fire();
      }
      now = until;
    },
  };
}

function at(text: string): Endpoint {
  const parsed = parseEndpoint(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

const noLimits = { maxConnections: 0, maxConnectionsPerAddress: 0, idleTimeoutMs: 0 };

function setUp(limits: Partial<typeof noLimits> = {}) {
  const clock = createManualClock();
  const connections = new Connections({ ...noLimits, ...limits }, clock);
  const cut: string[] = [];
  /** Admits a connection and lets it reach an endpoint. */
  const relay = (name: string, endpoint = "a:1", moved: () => number = () => 0): Connection => {
    const connection = connections.admit(new Socket(), name);
    if (typeof connection === "string") throw new Error(connection);
    const destroy = (): void => {
      cut.push(name);
      connections.forget(connection);
    };
    connection.state = { t: "relaying", carrier: { endpoint: at(endpoint), moved, destroy } };
    return connection;
  };
  return { clock, connections, cut, relay };
}

describe("Connections", () => {
  it("holds the limit of all and of one address, and gives places back", () => {
    const { connections, relay } = setUp({ maxConnections: 3, maxConnectionsPerAddress: 2 });
    const first = relay("x");
    relay("x");
    expect(connections.admit(new Socket(), "x")).toBe("address-limit");
    relay("y");
    expect(connections.admit(new Socket(), "y")).toBe("limit");
    connections.forget(first);
    connections.forget(first);
    expect(connections.size).toBe(2);
    expect(typeof connections.admit(new Socket(), "x")).toBe("object");
  });

  it("closes what has not moved a byte for the idle timeout, and nothing that has", () => {
    const { clock, cut, relay } = setUp({ idleTimeoutMs: 1_000 });
    let bytes = 0;
    relay("idle");
    relay("busy", "a:1", () => bytes);
    for (let n = 0; n < 20; n += 1) {
      bytes += 1;
      clock.advance(100);
    }
    expect(cut).toEqual(["idle"]);
    clock.advance(1_500);
    expect(cut).toEqual(["idle", "busy"]);
  });

  it("lets idle connections live without a timeout", () => {
    const { clock, cut, relay } = setUp();
    relay("idle");
    clock.advance(10_000_000);
    expect(cut).toEqual([]);
  });

  it("closes those to one endpoint, spread over the time given, and nobody else's", () => {
    const { clock, connections, cut, relay } = setUp();
    relay("p");
    relay("q");
    relay("other", "b:1");
    let n = 0;
    expect(connections.closeThoseTo(at("http://A:1"), 1_000, () => [0.2, 0.8][n++] ?? 0)).toBe(2);
    clock.advance(500);
    expect(cut).toEqual(["p"]);
    clock.advance(500);
    expect(cut).toEqual(["p", "q"]);
    expect(connections.size).toBe(1);
  });

  it("says when nothing is open, at once and later", async () => {
    const { connections, relay } = setUp();
    await connections.empty();
    relay("x");
    const empty = connections.empty();
    connections.destroyAll();
    await empty;
  });
});
