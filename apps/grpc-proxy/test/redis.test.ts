import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, KV, RangeRequestSchema, toBinary, toGrpcJsService } from "@etcd-edge/proto";
import {
  type EtcdCluster,
  findEtcdBinaries,
  findFreePorts,
  type RunningRedis,
  startEtcdCluster,
  startRedis,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import type { Config } from "../src/options.ts";
import { EtcdClient } from "./etcd-client.ts";
import { startProxy } from "./proxy-under-test.ts";

const kv = toGrpcJsService(KV);
const bytes = (text: string): Buffer => Buffer.from(text);

async function metric({ address }: GrpcProxy, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${address.port}/proxy/metrics`)).text();
  const rows = text.split("\n").filter((line) => line.startsWith(`${name} `));
  return rows.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** Reads a page, as bytes without their header's beginning: what differs is who answered and when. */
async function page(proxy: GrpcProxy, revision: bigint, limit = 5n, serializable = true): Promise<number> {
  await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
  const request = create(RangeRequestSchema, {
    key: bytes("k/"),
    rangeEnd: bytes("k0"),
    limit,
    revision,
    serializable,
  });
  const { payload } = await client.channel.unaryCall(
    kv.range.path,
    [],
    toBinary(RangeRequestSchema, request),
  );
  return kv.range.responseDeserialize(payload).kvs.length;
}

/** Wide enough for a machine that is starved. */
const patience = { timeout: 60_000, interval: 50 };

describe("--redis-url", () => {
  let cluster: EtcdCluster;
  let redis: RunningRedis;
  let port = 0;
  let revision = 0n;

  beforeAll(async () => {
    const binary = (await findEtcdBinaries()).at(-1);
    if (binary === undefined) throw new Error("no etcd is installed");
    cluster = await startEtcdCluster({ binary });
    [port = 0] = await findFreePorts(1);
    redis = await startRedis(port, ["--requirepass", "pw"]);
    await using direct = new EtcdClient(cluster.endpoints[0] ?? "");
    for (let i = 0; i < 10; i++) {
      const { header } = await direct.call(kv.put, { key: bytes(`k/${i}`), value: bytes(`v${i}`) });
      revision = header?.revision ?? 0n;
    }
  });
  afterAll(async () => {
    for (const one of [redis, cluster]) await one[Symbol.asyncDispose]();
  });

  const start = (more: Partial<Config> = {}): Promise<GrpcProxy> =>
    startProxy({
      endpoints: cluster.endpoints,
      redisUrl: `redis://:pw@127.0.0.1:${port}`,
      redisTimeout: 1_000,
      // A range that is read so often would be held here soon, and nobody would ask Redis for it.
      cacheFeeds: 0,
      ...more,
    });
  let unread = 1_000n;
  /** It is connected, and knows whose history it is: what it reads, a page that nobody has read yet, is written there. */
  const connected = (proxy: GrpcProxy): Promise<void> =>
    expect
      .poll(async () => {
        await page(proxy, revision, unread++);
        return await metric(proxy, 'etcd_edge_store_writes_total{outcome="sent"}');
      }, patience)
      .toBeGreaterThan(0);

  /** Whether what one replica reads another finds: with another page each time, of which the second asks a turn later. */
  async function shares(one: GrpcProxy, two: GrpcProxy): Promise<void> {
    let limit = 20n;
    const hits = async (): Promise<number> => {
      expect(await page(two, revision, limit++)).toBe(10);
      expect(await page(one, revision, limit)).toBe(10);
      return await metric(two, 'etcd_edge_cache_answers_total{source="stored"}');
    };
    await expect.poll(hits, patience).toBeGreaterThan(0);
  }

  it("replicas find what another has read, and only with the key it was sealed with", async () => {
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-fabric-"));
    const keyFile = join(folder, "key");
    await writeFile(keyFile, "a key");
    await using one = await start({ fabricKeyFile: keyFile });
    await connected(one); // two that come at once have an epoch each, until they look again
    await using two = await start({ fabricKeyFile: keyFile });
    await using stranger = await start();
    for (const proxy of [two, stranger]) await connected(proxy);
    await shares(one, two);
    for (let limit = 20n; limit < 40n; limit++) await page(stranger, revision, limit);
    expect(await metric(stranger, 'etcd_edge_cache_answers_total{source="stored"}')).toBe(0);
    await rm(folder, { recursive: true });
  });

  it("rule 37: a Redis that anybody can write to is refused where etcd has users", async () => {
    const bare = { redisUrl: `redis://127.0.0.1:${port}`, user: "root", passwordFile: "/dev/null" };
    await expect(start(bare)).rejects.toThrow("--redis-url needs a password, or --fabric-key-file");
    await expect(start({ redisCert: "only.pem" })).rejects.toThrow("must be given together");
  });

  it("a Redis that is stopped costs no more than its budget, one that is gone nothing but misses", async () => {
    await using proxy = await start({ redisTimeout: 20 });
    await connected(proxy);
    redis.program.signal("SIGSTOP");
    try {
      for (let at = revision; at > 3n; at--) expect(await page(proxy, at, 5n, false)).toBeGreaterThan(0);
      expect(await metric(proxy, 'etcd_edge_store_lookups_total{outcome="late"}')).toBeGreaterThan(0);
    } finally {
      redis.program.signal("SIGCONT");
    }
    await redis[Symbol.asyncDispose]();
    const isConnected = (): Promise<number> => metric(proxy, "etcd_edge_store_connected");
    await expect.poll(isConnected, patience).toBe(0);
    expect(await page(proxy, revision)).toBe(5);
    redis = await startRedis(port, ["--requirepass", "pw"]);
    await expect.poll(isConnected, patience).toBe(1);
  });
});
