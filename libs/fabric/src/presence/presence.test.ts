import { describe, expect, it } from "vitest";
import { createInProcessBus } from "../bus/in-process-bus.ts";
import { decodePresence, encodePresence, type Presence } from "./presence.ts";
import { createBusMessenger, followPresences } from "./presence-bus.ts";
import { readPosted } from "./presence-http.ts";
import { reportPresence } from "./report-presence.ts";
import { RollCall } from "./roll-call.ts";

const presence: Presence = {
  id: "1",
  tier: "grpc-proxy",
  name: "host",
  url: "10.0.0.1:23790",
  version: "1.2.3",
  uptimeSeconds: 5,
  ttlMs: 15_000,
  stats: { watches: 7 },
};

/** A bus delivers in turns of its own. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Timers that fire when told to. */
function createClock() {
  const timers = new Map<() => void, number>();
  let now = 0;
  return {
    nowMs: () => now,
    setTimer: (delayMs: number, due: () => void) => {
      timers.set(due, now + delayMs);
      return { stop: () => void timers.delete(due) };
    },
    advance: (ms: number) => {
      now += ms;
      for (const [due, at] of [...timers]) {
        if (at > now) continue;
        timers.delete(due);
        due();
      }
    },
  };
}

describe("a presence", () => {
  it("is read as it was written", () => {
    expect(decodePresence(encodePresence(presence))).toEqual(presence);
    const { url: _, ...hidden } = { ...presence, notReady: "shutting down" };
    expect(decodePresence(encodePresence(hidden))).toEqual(hidden);
  });

  it.each<[string, unknown]>([
    ["no JSON", "{"],
    ["a list", []],
    ["another format", { ...presence, v: 2 }],
    ["no id", { v: 1, ...presence, id: "" }],
    ["a tier that is no label", { v: 1, ...presence, tier: "a.b" }],
    ["an endless TTL", { v: 1, ...presence, ttlMs: 1e12 }],
    ["a count that is none", { v: 1, ...presence, stats: { watches: "7" } }],
    [
      "too many counts",
      { v: 1, ...presence, stats: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [i, 1])) },
    ],
    ["a text without end", { v: 1, ...presence, name: "x".repeat(513) }],
  ])("is nothing where there is %s", (_, value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    expect(decodePresence(Buffer.from(text))).toBeUndefined();
  });

  it("that was posted is believed with the right seal alone, where there is a key", () => {
    const body = encodePresence(presence);
    const key = Buffer.from("secret");
    expect(readPosted(body, undefined, undefined)).toEqual(presence);
    expect(readPosted(body, undefined, key)).toBeUndefined();
    expect(readPosted(body, "00".repeat(32), key)).toBeUndefined();
  });
});

describe("a roll call", () => {
  it("believes a replica for as long as it says, and hears it leave", () => {
    const clock = createClock();
    let changes = 0;
    using roll = new RollCall(() => void changes++, clock);
    roll.heard(presence);
    roll.heard({ ...presence, id: "2", name: "another" });
    expect(roll.current().map(({ name }) => name)).toEqual(["another", "host"]);
    clock.advance(10_000);
    roll.heard(presence);
    clock.advance(5_000);
    expect(roll.current().map(({ id }) => id)).toEqual(["1"]);
    roll.heard({ ...presence, ttlMs: 0 });
    expect(roll.current()).toEqual([]);
    expect(changes).toBe(5);
  });

  it("remembers a thousand replicas and no more", () => {
    using roll = new RollCall(() => {}, createClock());
    for (let i = 0; i < 1_100; i++) roll.heard({ ...presence, id: String(i) });
    expect(roll.current()).toHaveLength(1_000);
  });

  it("hears over a bus who was there before it, who changes, and who leaves", async () => {
    const clock = createClock();
    await using bus = createInProcessBus();
    let watches = 1;
    const { ttlMs: _, ...own } = presence;
    const report = reportPresence({
      messengers: [createBusMessenger(bus, "p")],
      describe: () => ({ ...own, stats: { watches } }),
      clock,
    });
    using roll = new RollCall(() => {}, clock);
    const stop = followPresences(bus, "p", roll);
    await settle();
    expect(roll.current()).toEqual([{ ...own, ttlMs: 15_000, stats: { watches: 1 } }]);
    watches = 2;
    clock.advance(5_000);
    await settle();
    expect(roll.current()[0]?.stats).toEqual({ watches: 2 });
    bus.publish("p.presence", Buffer.from("no presence"));
    await report[Symbol.asyncDispose]();
    await settle();
    expect(roll.current()).toEqual([]);
    stop();
  });
});
