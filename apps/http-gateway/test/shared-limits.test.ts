import { createRedisClient } from "@etcd-edge/fabric";
import { findEtcdBinaries, findFreePorts, startEtcdCluster, startRedis } from "@etcd-edge/testkit";
import { expect, it } from "vitest";
import { exchange } from "./support/http-exchange.ts";
import { startGateway } from "./support/running-gateway.ts";

const [binary] = (await findEtcdBinaries()).slice(-1);
if (binary === undefined) throw new Error("no etcd");

it("replicas count together in Redis, and each for itself while it is away", async () => {
  await using cluster = await startEtcdCluster({ binary });
  const [port = 0] = await findFreePorts(1);
  await using redis = await startRedis(port, ["--requirepass", "pw"]);
  const flags = [`--redis-url=redis://:pw@127.0.0.1:${port}`, "--rate-limit=20", "--rate-limit-burst=1"];
  await using first = await startGateway(cluster.endpoints, flags);
  await using second = await startGateway(cluster.endpoints, flags);
  const ask = async (url: string): Promise<number> =>
    (await exchange(url, { method: "POST", path: "/v3/kv/range", body: '{"key":"YQ=="}' })).status;
  /** Of so many requests at once to both, how many were answered. */
  const answered = async (count: number): Promise<number> => {
    const statuses = await Promise.all(
      Array.from({ length: count }, (_, i) => ask(i % 2 === 0 ? first.url : second.url)),
    );
    expect(new Set([...statuses, 200, 429])).toEqual(new Set([200, 429]));
    return statuses.filter((status) => status === 200).length;
  };
  const client = await createRedisClient({ url: `redis://:pw@127.0.0.1:${port}`, name: "test" });
  await expect.poll(() => client.status, { timeout: 30_000 }).toBe("ready");
  // One request to each, both in one second: both are in one counter.
  const counted = async (): Promise<string[]> => {
    await answered(2);
    const keys = await client.keys("etcd-edge:http:rate:*");
    return await Promise.all(keys.map(async (key) => String(await client.get(key))));
  };
  await expect.poll(counted, { timeout: 30_000 }).toEqual(["2"]);
  expect(await answered(200)).toBeLessThan(200);
  client.disconnect();
  await redis.program[Symbol.asyncDispose]();
  // On a busy machine Redis was too slow for some of the many, too: those have used up this second of the replicas' own counters.
  await expect.poll(() => answered(2), { timeout: 30_000 }).toBeGreaterThan(0);
});
