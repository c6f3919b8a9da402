import { findEtcdBinaries, findFreePorts, startEtcdCluster } from "@etcd-edge/testkit";
import { expect, it } from "vitest";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

it("/explain/watch says on which feed each watch hangs, on the admin listener alone; the metrics count the sharing", async () => {
  const [binary] = await findEtcdBinaries();
  if (binary === undefined) throw new Error("no etcd");
  await using cluster = await startEtcdCluster({ binary });
  const [adminPort] = await findFreePorts(1);
  const metricsAddr = `http://127.0.0.1:${adminPort}`;
  await using proxy = await startProxy({ endpoints: cluster.endpoints.slice(), metricsAddr });
  const { port } = proxy.address;
  await using wide = new WatchClient(port);
  await using narrow = new WatchClient(port);
  wide.create({ key: Buffer.from("a"), rangeEnd: Buffer.from("b") });
  await wide.next();
  narrow.create({ key: Buffer.from("ab"), startRevision: 100n });
  await narrow.next();

  const [scope] = (await (await fetch(`${metricsAddr}/explain/watch`)).json()) as [Record<string, unknown>];
  expect(scope).toMatchObject({
    streams: 2,
    feeds: [{ range: '["a", "b")', state: "live", isCatchUp: false, watchers: 2 }],
    watches: [
      { range: '["a", "b")', feed: '["a", "b")', state: "live", sharedWith: 1 },
      { range: '"ab"', feed: '["a", "b")', deliveredTo: "99", sharedWith: 1 },
    ],
  });
  expect((await fetch(`${metricsAddr}/explain/watch?limit=x`)).status).toBe(400);
  expect((await fetch(`http://127.0.0.1:${port}/explain/watch`)).status).toBe(404);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/proxy/metrics`)).text();
  expect(metrics).toMatch(/^etcd_grpc_proxy_watchers_coalescing_total 2$/m);
  expect(metrics).toMatch(/^etcd_edge_watch_feeds(?:\{[^}]*\})? 1$/m);
});
