import { systemClock } from "@etcd-edge/runtime";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Registration } from "./registration.ts";
import { createWarnings, ScriptedEtcd } from "./scripted-etcd.ts";

// The clock is the machine's over faked timers: time moves when told to.
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const advance = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

function register(etcd: ScriptedEtcd) {
  const warnings = createWarnings();
  const { logger } = warnings;
  const entry = { key: "p/a:1", value: "v", ttlSeconds: 9 };
  return { registration: new Registration({ etcd, ...entry, clock: systemClock, logger }), warnings };
}

const lostLines = [
  "session expired; possible network partition or server restart",
  "creating a new session to rejoin",
];

describe("registration", () => {
  it("puts its key under a lease and renews it every third of the TTL", async () => {
    const etcd = new ScriptedEtcd();
    await using registered = register(etcd).registration;
    await advance(0);
    expect(etcd.entries.get("p/a:1")).toMatchObject({ value: "v", leaseId: 1n });
    expect(registered.state).toEqual({ t: "registered", leaseId: 1n });
    await advance(9_000);
    expect(etcd.asked).toEqual(["grant 9", "put 1", "renew 1", "renew 1", "renew 1"]);
  });

  it("leaves alone a key under another lease, if told to, until it is free", async () => {
    const etcd = new ScriptedEtcd();
    etcd.entries.set("p/a:1", { value: "theirs", leaseId: 77n });
    const { logger } = createWarnings();
    const entry = { key: "p/a:1", value: "v", ttlSeconds: 9, isGuarded: true };
    await using registered = new Registration({ etcd, ...entry, clock: systemClock, logger });
    await advance(0);
    expect(registered.state).toEqual({ t: "waiting" });
    expect(etcd.entries.get("p/a:1")?.value).toBe("theirs");
    expect([...etcd.leases]).toEqual([]);
    etcd.entries.delete("p/a:1");
    await advance(5_000);
    expect(etcd.entries.get("p/a:1")?.value).toBe("v");
  });

  it("registers anew when the lease is gone, and says so", async () => {
    const etcd = new ScriptedEtcd();
    const { registration, warnings } = register(etcd);
    await using _ = registration;
    await advance(0);
    await etcd.revoke(1n);
    expect(etcd.entries.size).toBe(0);
    await advance(3_000);
    expect(warnings.lines).toEqual(lostLines);
    expect(etcd.entries.get("p/a:1")).toMatchObject({ leaseId: 2n });
  });

  it("takes silence for the whole TTL for a loss, and nothing shorter", async () => {
    const etcd = new ScriptedEtcd();
    const { registration, warnings } = register(etcd);
    await using _ = registration;
    await advance(0);
    etcd.failing.add("renew");
    await advance(8_999);
    expect(warnings.lines).toEqual([]);
    await advance(1);
    expect(warnings.lines).toEqual(lostLines);
    expect(registration.state).toEqual({ t: "registered", leaseId: 2n });
  });

  it("tries at most once a second, says why once, and leaves no lease behind", async () => {
    const etcd = new ScriptedEtcd();
    etcd.failing.add("put");
    const { registration, warnings } = register(etcd);
    await using _ = registration;
    await advance(0);
    expect(etcd.asked).toEqual(["grant 9", "put 1", "revoke 1"]);
    await advance(999);
    expect(etcd.asked).toHaveLength(3);
    await advance(4_001);
    expect(etcd.asked.filter((question) => question === "grant 9")).toHaveLength(6);
    expect(etcd.leases.size).toBe(0);
    expect(warnings.lines).toEqual(["failed to register the proxy: etcdserver: no leader"]);
    etcd.failing.clear();
    await advance(1_000);
    expect(registration.state.t).toBe("registered");
  });

  it("revokes its lease when disposed of, once", async () => {
    const etcd = new ScriptedEtcd();
    const { registration } = register(etcd);
    await advance(0);
    await registration[Symbol.asyncDispose]();
    await registration[Symbol.asyncDispose]();
    expect(etcd.asked).toEqual(["grant 9", "put 1", "revoke 1"]);
    expect(etcd.entries.size).toBe(0);
    expect(registration.state).toEqual({ t: "withdrawn" });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(["grant", "put", "renew"] as const)(
    "does not hang on a %s that is not answered",
    async (question) => {
      const etcd = new ScriptedEtcd();
      etcd.silent.add(question);
      const { registration, warnings } = register(etcd);
      await advance(3_500);
      await registration[Symbol.asyncDispose]();
      expect(etcd.leases.size).toBe(0);
      expect(warnings.lines).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    },
  );
});
