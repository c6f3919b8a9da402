import { GuardedStore, type SharedStore } from "@etcd-edge/coalesce";
import { systemClock } from "@etcd-edge/runtime";
import { createAuthority, findFreePorts, startRedis } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import {
  createRedisClient,
  createRedisStore,
  type RedisState,
  type RedisStore,
  sealStore,
} from "../src/index.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
/** Wide enough for a machine that is starved. */
const patience = { timeout: 60_000, interval: 50 };

async function freePort(): Promise<number> {
  const [port] = await findFreePorts(1);
  if (port === undefined) throw new Error("no port");
  return port;
}

/** A store whose states can be waited for. */
async function openStore(
  url: string,
  more: { prefix?: string; tls?: { caFile: string } } = {},
): Promise<
  { store: RedisStore; reached: (wanted: RedisState, error?: RegExp) => Promise<void> } & AsyncDisposable
> {
  const waiting: (() => void)[] = [];
  let lastError: string | undefined;
  const store = await createRedisStore({
    url,
    name: "test",
    prefix: more.prefix ?? "t",
    ...(more.tls === undefined ? {} : { tls: more.tls }),
    onState: (_, error) => {
      lastError = error ?? lastError;
      for (const wake of waiting.splice(0)) wake();
    },
  });
  return {
    store,
    reached: async (wanted) => {
      while (store.state !== wanted) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

describe("createRedisStore", () => {
  it("keeps values for their time, apart by prefix, and survives a restart of Redis", async () => {
    const port = await freePort();
    await using one = await openStore(`redis://127.0.0.1:${port}`);
    await expect(one.store.get("k")).rejects.toThrow();
    {
      await using _redis = await startRedis(port);
      await one.reached("connected");
      await using other = await openStore(`redis://127.0.0.1:${port}`, { prefix: "other" });
      await other.reached("connected");
      await one.store.set("k\u00ff", bytes("v"), 60_000);
      expect(await one.store.get("k\u00ff")).toEqual(bytes("v"));
      expect(await one.store.get("absent")).toBeUndefined();
      expect(await other.store.get("k\u00ff")).toBeUndefined();
      const client = await createRedisClient({ url: `redis://127.0.0.1:${port}`, name: "look" });
      await new Promise<void>((resolve) => client.once("ready", () => resolve()));
      const [key = ""] = await client.keys("*");
      expect(key).toMatch(/^t:/);
      expect(await client.pttl(key)).toBeGreaterThan(50_000);
      client.disconnect();
    }
    await one.reached("connecting");
    await using _again = await startRedis(port);
    await one.reached("connected");
    expect(await one.store.get("k\u00ff")).toBeUndefined();
  });

  it("shows a password, and works in a cluster", async () => {
    const port = await freePort();
    const announced = ["--cluster-announce-ip", "127.0.0.1"];
    await using _redis = await startRedis(port, [
      "--requirepass",
      "p w",
      "--cluster-enabled",
      "yes",
      ...announced,
    ]);
    const setUp = await createRedisClient({ url: `redis://:p%20w@127.0.0.1:${port}`, name: "set up" });
    await new Promise<void>((resolve) => setUp.once("ready", () => resolve()));
    await setUp.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    const state = async (): Promise<string> => String(await setUp.call("CLUSTER", "INFO"));
    await expect.poll(state, patience).toContain("cluster_state:ok");
    setUp.disconnect();
    await using cluster = await openStore(`redis+cluster://:p%20w@127.0.0.1:${port},127.0.0.1:${port}`);
    expect(cluster.store.hasPassword).toBe(true);
    await cluster.reached("connected");
    for (const key of ["a", "b", "c"]) await cluster.store.set(key, bytes(key), 60_000);
    expect(await cluster.store.get("b")).toEqual(bytes("b"));
  });

  it("speaks TLS, and believes only the authority it was given", async () => {
    await using authority = await createAuthority();
    const { certFile, keyFile } = await authority.issue({ name: "redis" });
    const { caFile } = authority;
    const [plain = 0, port = 0] = await findFreePorts(2);
    const files = ["--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", caFile];
    await using _redis = await startRedis(plain, [
      "--tls-port",
      String(port),
      "--tls-auth-clients",
      "no",
      ...files,
    ]);
    await using known = await openStore(`rediss://127.0.0.1:${port}`, { tls: { caFile } });
    await known.reached("connected");
    await known.store.set("k", bytes("v"), 1_000);
    expect(await known.store.get("k")).toEqual(bytes("v"));
    await using stranger = await openStore(`rediss://127.0.0.1:${port}`);
    await stranger.reached("connecting");
    await expect(stranger.store.get("k")).rejects.toThrow();
  });

  it("costs no more than the budget when Redis is stopped, and is used again when it goes on", async () => {
    const port = await freePort();
    await using redis = await startRedis(port);
    await using one = await openStore(`redis://127.0.0.1:${port}`);
    await one.reached("connected");
    const guarded = new GuardedStore(one.store, systemClock, { budgetMs: 20, maxFailures: 2 });
    guarded.set("k", bytes("v"), 60_000);
    await expect.poll(() => guarded.get("k"), patience).toEqual(bytes("v"));
    redis.program.signal("SIGSTOP");
    const failures = [await guarded.get("k"), await guarded.get("k"), await guarded.get("k")];
    expect(failures).toEqual([undefined, undefined, undefined]);
    expect(guarded.state).toBe("open");
    expect(guarded.counts.skipped).toBeGreaterThan(0);
    redis.program.signal("SIGCONT");
    await expect.poll(() => guarded.get("k"), patience).toEqual(bytes("v"));
    expect(guarded.state).toBe("closed");
  });
});

describe("sealStore", () => {
  it("rule 37: believes what holders of the key wrote under this very name, and nothing else", async () => {
    const entries = new Map<string, Uint8Array>();
    const bare: SharedStore = {
      get: (name) => Promise.resolve(entries.get(name)),
      set: (name, value) => Promise.resolve(void entries.set(name, value)),
    };
    const sealed = sealStore(bare, bytes("key"));
    await sealed.set("a", bytes("value"), 1_000);
    expect(await sealed.get("a")).toEqual(bytes("value"));
    const [[name, entry] = ["", bytes("")]] = entries;
    const under = (other: string): string => `${name.slice(0, -1)}${other}`;
    entries.set(under("b"), entry);
    entries.set(under("forged"), Buffer.concat([Buffer.alloc(32), bytes("value")]));
    entries.set(under("short"), bytes("x"));
    const damaged = Buffer.from(entry);
    damaged[damaged.length - 1] = 0;
    entries.set(name, damaged);
    for (const one of ["a", "b", "forged", "short"]) expect(await sealed.get(one)).toBeUndefined();
    expect(sealed.rejected).toBe(4);
    const others = sealStore(bare, bytes("another"));
    await sealed.set("c", bytes("value"), 1_000);
    expect(await others.get("c")).toBeUndefined();
  });
});
