import { describe, expect, it } from "vitest";
import type { Endpoint } from "./endpoint.ts";
import { endpointAddress, endpointKey } from "./endpoint.ts";
import { EndpointPool, type EndpointPoolOptions } from "./endpoint-pool.ts";
import { EndpointSetHolder } from "./endpoint-set.ts";
import type { ProbeResult } from "./health/probe.ts";
import { ManualClock } from "./manual-clock.ts";
import { parseEndpoints } from "./parse-endpoints.ts";

/** A pool over scripted endpoints: `answers` decides what a probe of an address finds; absent = alive. */
function scriptedPool(addresses: string[], options: Partial<EndpointPoolOptions> = {}) {
  const clock = new ManualClock();
  const holder = new EndpointSetHolder();
  const answers = new Map<string, ProbeResult | "hangs">();
  const probes: string[] = [];
  const transitions: string[] = [];
  const setAddresses = (list: string[]): void => void holder.update(parseEndpoints(list).endpoints);
  setAddresses(addresses);
  const pool = new EndpointPool({
    source: {
      current: () => holder.current(),
      subscribe: (listener) => holder.subscribe(listener),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    probe: (endpoint, signal) => {
      const address = endpointAddress(endpoint);
      probes.push(address);
      const answer = answers.get(address) ?? { t: "alive" };
      if (answer !== "hangs") return Promise.resolve(answer);
      return new Promise((resolve) =>
        signal.addEventListener("abort", () => resolve({ t: "silent", error: "no answer in time" })),
      );
    },
    clock,
    random: () => 0.999,
    onTransition: ({ endpoint, from, to }) =>
      transitions.push(`${endpointAddress(endpoint)} ${from.t} → ${to.t}`),
    ...options,
  });
  const pickMany = (count: number): Set<string> =>
    new Set(Array.from({ length: count }, () => addressOf(pool.pick())));
  return { pool, clock, answers, probes, transitions, setAddresses, pickMany };
}

function addressOf(endpoint: Endpoint | undefined): string {
  return endpoint === undefined ? "nobody" : endpointAddress(endpoint);
}

describe("EndpointPool", () => {
  it("offers endpoints before their first probe has answered", async () => {
    const { pool } = scriptedPool(["a:1"]);
    await using _ = pool;
    expect(addressOf(pool.pick())).toBe("a:1");
  });

  it("avoids a stopped process within 2 s", async () => {
    const { pool, clock, answers, pickMany } = scriptedPool(["a:1", "b:1"]);
    await using _ = pool;
    await clock.advance(10_000);
    expect(pickMany(4)).toEqual(new Set(["a:1", "b:1"]));
    answers.set("a:1", "hangs");
    await clock.advance(2_000);
    expect(pickMany(10)).toEqual(new Set(["b:1"]));
  });

  it("uses a suspect one when nobody better is left", async () => {
    const { pool, clock, answers } = scriptedPool(["a:1"], { policy: { silencesToEject: 100 } });
    await using _ = pool;
    await clock.advance(1_000);
    answers.set("a:1", "hangs");
    await clock.advance(2_000);
    expect(pool.snapshot()[0]?.health.t).toBe("suspect");
    expect(addressOf(pool.pick())).toBe("a:1");
  });

  it("ejects at once on a failed dial and takes it back after a half-open probe", async () => {
    const { pool, clock, transitions } = scriptedPool(["a:1"]);
    await using _ = pool;
    await clock.advance(0);
    const [first] = pool.snapshot();
    if (first === undefined) throw new Error("nobody");
    pool.reportUnreachable(first.endpoint, "connect ECONNREFUSED");
    expect(pool.hasUsable()).toBe(false);
    await clock.advance(300);
    expect(transitions).toEqual([
      "a:1 unknown → healthy",
      "a:1 healthy → ejected",
      "a:1 ejected → probing",
      "a:1 probing → healthy",
    ]);
  });

  it("tries the ejected at once when somebody asks and nobody is usable, once a second", async () => {
    const { pool, clock, answers, probes } = scriptedPool(["a:1"], {
      policy: { minRetryMs: 60_000, maxRetryMs: 60_000 },
    });
    await using _ = pool;
    answers.set("a:1", { t: "unreachable", error: "refused" });
    await clock.advance(2_000);
    const before = probes.length;
    expect(pool.pick()).toBeUndefined();
    expect(pool.pick()).toBeUndefined();
    await clock.advance(500);
    expect(pool.pick()).toBeUndefined();
    expect(probes.length).toBe(before + 1);
    answers.delete("a:1");
    await clock.advance(600);
    expect(pool.pick()).toBeUndefined();
    await clock.advance(0);
    expect(addressOf(pool.pick())).toBe("a:1");
  });

  it("takes traffic for a sign of life and saves the probe", async () => {
    let activity = 0;
    const { pool, clock, probes } = scriptedPool(["a:1"], { activityOf: () => (activity += 1) });
    await using _ = pool;
    await clock.advance(10_000);
    expect(probes).toHaveLength(1);
  });

  it("probes only the ejected when there is no interval", async () => {
    const { pool, clock, probes } = scriptedPool(["a:1"], {
      probeIntervalMs: undefined,
      policy: { minRetryMs: 1_000, maxRetryMs: 1_000 },
    });
    await using _ = pool;
    await clock.advance(60_000);
    expect(probes).toEqual([]);
    const endpoint = pool.pick();
    if (endpoint === undefined) throw new Error("nobody");
    pool.reportUnreachable(endpoint, "refused");
    await clock.advance(1_000);
    expect(probes).toEqual(["a:1"]);
    expect(pool.hasUsable()).toBe(true);
  });

  it("follows the set: keeps the health of those who stay, forgets those who leave", async () => {
    const removed: string[] = [];
    const { pool, clock, answers, setAddresses } = scriptedPool(["a:1", "b:1"], {
      onRemoved: (endpoint) => removed.push(endpointKey(endpoint)),
    });
    await using _ = pool;
    answers.set("b:1", { t: "unreachable", error: "refused" });
    await clock.advance(600);
    setAddresses(["b:1", "c:1"]);
    await clock.advance(0);
    expect(pool.snapshot().map(({ endpoint, health }) => [endpointAddress(endpoint), health.t])).toEqual([
      ["b:1", "ejected"],
      ["c:1", "healthy"],
    ]);
    expect(removed).toEqual(["a:1"]);
  });

  it("skips those already tried", async () => {
    const { pool } = scriptedPool(["a:1", "b:1"]);
    await using _ = pool;
    expect(addressOf(pool.pick(new Set(["a:1"])))).toBe("b:1");
    expect(pool.pick(new Set(["a:1", "b:1"]))).toBeUndefined();
  });

  it("leaves no timer and no probe when disposed, also twice", async () => {
    const { pool, clock, answers } = scriptedPool(["a:1", "b:1"]);
    answers.set("b:1", "hangs");
    await clock.advance(300);
    await pool[Symbol.asyncDispose]();
    await pool[Symbol.asyncDispose]();
    await clock.advance(1_000);
    expect(clock.pending).toBe(0);
  });
});
