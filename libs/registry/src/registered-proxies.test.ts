import { systemClock } from "@etcd-edge/runtime";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RegisteredProxies } from "./registered-proxies.ts";
import { formatRegistryValue } from "./registry-entry.ts";
import { createWarnings, ScriptedEtcd } from "./scripted-etcd.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const advance = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

const entryOf = (address: string): string => formatRegistryValue({ name: "host", address });

function follow(etcd: ScriptedEtcd) {
  const warnings = createWarnings();
  const { logger } = warnings;
  const proxies = new RegisteredProxies({ etcd, prefix: "p/", clock: systemClock, logger });
  const addresses = (): string[] => [...proxies.current().values()].map(({ address }) => address);
  return { proxies, addresses, warnings };
}

function enter(etcd: ScriptedEtcd, key: string, value: string): void {
  etcd.entries.set(key, { value, leaseId: 0n });
}

describe("registered proxies", () => {
  it("reads what is there, then follows from the next revision on", async () => {
    const etcd = new ScriptedEtcd();
    etcd.revision = 41n;
    enter(etcd, "p/a:1", entryOf("a:1"));
    const { proxies, addresses } = follow(etcd);
    using _ = proxies;
    await advance(0);
    expect(etcd.asked).toEqual(["list p/", "watch p/ from 42"]);
    expect(addresses()).toEqual(["a:1"]);
    etcd.watching?.watcher.onEvents([
      { t: "put", key: "p/b:1", value: entryOf("b:1") },
      { t: "put", key: "p/a:1", value: entryOf("a:2") },
    ]);
    expect(addresses()).toEqual(["a:2", "b:1"]);
    etcd.watching?.watcher.onEvents([{ t: "deleted", key: "p/a:1" }]);
    expect(addresses()).toEqual(["b:1"]);
  });

  it.each([
    ["no JSON", "<html>"],
    ["no object", "[]"],
    ["null", "null"],
    ["no address", '{"Op":0,"Metadata":"{\\"name\\":\\"h\\"}"}'],
    ["no metadata", '{"Op":0,"Addr":"x:1","Metadata":null}'],
    ["metadata that is an object", '{"Op":0,"Addr":"x:1","Metadata":{"name":"h"}}'],
    ["metadata that is no JSON", '{"Op":0,"Addr":"x:1","Metadata":"<"}'],
    ["a name that is no text", '{"Op":0,"Addr":"x:1","Metadata":"{\\"name\\":1}"}'],
  ])("skips an entry with %s, says so, and keeps the others", async (_, bad) => {
    const etcd = new ScriptedEtcd();
    enter(etcd, "p/bad", bad);
    enter(etcd, "p/a:1", entryOf("a:1"));
    const { proxies, addresses, warnings } = follow(etcd);
    using _proxies = proxies;
    await advance(0);
    expect(addresses()).toEqual(["a:1"]);
    expect(warnings.lines).toEqual([expect.stringContaining("skipped a registration that cannot be read")]);
    etcd.watching?.watcher.onEvents([{ t: "put", key: "p/a:1", value: bad }]);
    expect(addresses()).toEqual([]);
  });

  it("keeps its view while the watch is away, and then reads it anew", async () => {
    const etcd = new ScriptedEtcd();
    enter(etcd, "p/a:1", entryOf("a:1"));
    enter(etcd, "p/b:1", entryOf("b:1"));
    const { proxies, addresses, warnings } = follow(etcd);
    using _ = proxies;
    await advance(400);
    etcd.failing.add("list");
    etcd.entries.delete("p/b:1");
    etcd.watching?.watcher.onEnd("connection lost");
    await advance(599);
    expect(etcd.asked).toHaveLength(2);
    await advance(2_001);
    expect(etcd.asked.slice(2)).toEqual(["list p/", "list p/", "list p/"]);
    expect(addresses()).toEqual(["a:1", "b:1"]);
    etcd.failing.clear();
    etcd.revision = 7n;
    await advance(1_000);
    expect(addresses()).toEqual(["a:1"]);
    expect(etcd.watching?.fromRevision).toBe(8n);
    expect(warnings.lines).toEqual([
      "failed to follow the registered proxies: connection lost",
      "failed to follow the registered proxies: etcdserver: no leader",
    ]);
  });

  it.each(["listing", "watching", "waiting"] as const)("stops while %s, twice if asked", async (phase) => {
    const etcd = new ScriptedEtcd();
    if (phase === "listing") etcd.silent.add("list");
    if (phase === "waiting") etcd.failing.add("list");
    const { proxies } = follow(etcd);
    await advance(0);
    proxies[Symbol.dispose]();
    proxies[Symbol.dispose]();
    await advance(10_000);
    expect(etcd.watching).toBeUndefined();
    expect(etcd.asked.filter((question) => question === "list p/")).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
