import { Epochs, type HubPort } from "@etcd-edge/coalesce";
import { createMetrics, type Logger, silentLogger, systemClock } from "@etcd-edge/runtime";
import { describe, expect, it } from "vitest";
import { createInProcessBus } from "../bus/in-process-bus.ts";
import type { OpenedBus } from "../config/open-bus.ts";
import { createDigest } from "./names.ts";
import { startFeedSharing } from "./start-feed-sharing.ts";

const hub: HubPort = {
  source: {
    open: () => {
      throw new Error("nothing is to be opened");
    },
  },
  clusterId: undefined,
  probe: () => Promise.reject(new Error("nobody")),
  saw: () => {},
};

function start(opened: Omit<OpenedBus, "bus">, bus = createInProcessBus(), logger: Logger = silentLogger) {
  return startFeedSharing({
    ...{ opened: { ...opened, bus }, prefix: "p", clock: systemClock, logger },
    metrics: createMetrics("test"),
    epochs: new Epochs(() => "e"),
    reopeningsPerSecond: 10,
    describe: () => ({
      ...{ name: "host", tier: "test", version: "1", uptimeSeconds: 3, compactRevision: 5n },
      stats: new Map([["watches", 2]]),
    }),
  });
}

describe("rule 37: feeds of clients with credentials", () => {
  it("are not shared over a bus on which anybody can speak, and that is said once; those of nobody are", async () => {
    await using bus = createInProcessBus();
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (text) => void warnings.push(text) };
    using open = start({ key: undefined, isProtected: false }, bus, logger);
    expect(open.share([":token"], false, hub)).toBeUndefined();
    expect(open.share([":other"], false, hub)).toBeUndefined();
    expect(open.share([""], true, hub)).toBeDefined();
    expect(warnings).toEqual([expect.stringContaining("--fabric-key-file")]);
    using closed = start({ key: Buffer.from("secret"), isProtected: true }, bus);
    expect(closed.share([":token"], false, hub)).toBeDefined();
  });

  it("go by names that do not tell the credential, and without the key cannot be found by trying", () => {
    const open = createDigest(undefined);
    const keyed = createDigest(Buffer.from("secret"));
    expect(open("a")).toBe(open("a"));
    expect(open("a")).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set([open("a"), open("b"), keyed("a"), createDigest(Buffer.from("s"))("a")]).size).toBe(4);
  });
});

describe("startFeedSharing", () => {
  it("opens so many watches at once as a tenth of the rate allows, and makes the others wait", async () => {
    await using bus = createInProcessBus();
    using one = start({ key: undefined, isProtected: true }, bus);
    expect(one.replica.budget.take()).toBe(true);
    expect(one.replica.budget.take()).toBeInstanceOf(Promise);
  });

  it("tells the others who it is, at once when they come, and when it leaves", async () => {
    await using bus = createInProcessBus();
    using one = start({ key: undefined, isProtected: true }, bus);
    {
      using two = start({ key: undefined, isProtected: true }, bus);
      await new Promise((resolve) => setImmediate(resolve));
      expect([...two.replica.roster.replicas()]).toMatchObject([
        { id: one.replica.id, name: "host", tier: "test", compactRevision: 5n, isDraining: false },
      ]);
      expect([...one.replica.roster.replicas()][0]?.stats.get("watches")).toBe(2);
      await one.drain();
      await new Promise((resolve) => setImmediate(resolve));
      expect([...two.replica.roster.replicas()]).toMatchObject([{ isDraining: true }]);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(one.replica.roster.size).toBe(0);
  });
});
