import { type Event, KV, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdMember, findEtcdBinaries, moveLeader, startEtcdCluster } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const kv = toGrpcJsService(KV);
const bytes = (text: string) => Buffer.from(text);

/** What etcd itself counts of its watches. */
async function watchesAt(member: EtcdMember): Promise<number> {
  const text = await (await fetch(`${member.clientUrl}/metrics`)).text();
  return Number(/^etcd_debugging_mvcc_watcher_total (\S+)/m.exec(text)?.[1] ?? Number.NaN);
}

describe.each(await findEtcdBinaries())("watches before etcd $version", (binary) => {
  it("etcd sees one watch of a range, however many clients watch it, and none when they are gone", async () => {
    await using cluster = await startEtcdCluster({ binary });
    const [member] = cluster.members;
    if (member === undefined) throw new Error("one member");
    await using proxy = await startProxy({ endpoints: cluster.endpoints.slice() });
    const { port } = proxy.address;
    await using etcd = new EtcdClient(`127.0.0.1:${port}`);
    {
      await using clients = new AsyncDisposableStack();
      const watchers = Array.from({ length: 50 }, () => clients.use(new WatchClient(port)));
      for (const watcher of watchers) {
        watcher.create({ key: bytes("a"), rangeEnd: bytes("b") });
        await watcher.next();
      }
      await etcd.call(kv.put, { key: bytes("ab"), value: bytes("v") });
      for (const watcher of watchers) expect((await watcher.events(1))[0]?.kv?.key).toEqual(bytes("ab"));
      // For a moment it may be another number: on a machine that is slow a feed that seems behind is opened elsewhere.
      await expect.poll(() => watchesAt(member)).toBe(1);
    }
    await expect.poll(() => watchesAt(member)).toBe(0);
  });

  it("a watch 3,000 revisions behind a live one of the same key gets every one of them", async () => {
    await using cluster = await startEtcdCluster({ binary });
    await using proxy = await startProxy({ endpoints: cluster.endpoints.slice() });
    const { port } = proxy.address;
    await using etcd = new EtcdClient(`127.0.0.1:${port}`);
    await using live = new WatchClient(port);
    live.create({ key: bytes("k") });
    await live.next();
    const first = (await etcd.call(kv.put, { key: bytes("k"), value: bytes("0") })).header?.revision ?? 0n;
    for (let i = 1; i < 3_000; i += 100) {
      const batch = Array.from({ length: Math.min(100, 3_000 - i) }, (_, j) => i + j);
      await Promise.all(batch.map((n) => etcd.call(kv.put, { key: bytes("k"), value: bytes(`${n}`) })));
    }
    await using late = new WatchClient(port);
    late.create({ key: bytes("k"), startRevision: first });
    await late.next();
    const seen = await late.events(3_000);
    expect(seen.map(({ kv: one }) => one?.modRevision)).toEqual(seen.map((_, i) => first + BigInt(i)));
    await etcd.call(kv.put, { key: bytes("k"), value: bytes("end") });
    for (const [watcher, before] of [
      [live, 3_000],
      [late, 0],
    ] as const) {
      const last = (await watcher.events(before + 1)).at(-1);
      expect(last?.kv?.value).toEqual(bytes("end"));
    }
  });

  it("a member's death costs its watches no event", async () => {
    await using cluster = await startEtcdCluster({ binary, members: 3 });
    await using proxy = await startProxy({ endpoints: cluster.endpoints.slice() });
    const { port } = proxy.address;
    await using watchers = new AsyncDisposableStack();
    // On ranges of their own, so that each member has some.
    const all = Array.from({ length: 9 }, (_, i) => ({
      key: `k${i}`,
      client: watchers.use(new WatchClient(port)),
    }));
    for (const { key, client } of all) {
      client.create({ key: bytes(key) });
      await client.next();
    }
    const [victim, other] = cluster.members;
    if (victim === undefined || other === undefined) throw new Error("three members");
    await moveLeader(cluster, other);
    await using etcd = new EtcdClient(other.clientAddress);
    const writeAll = async (value: string): Promise<void> => {
      for (const { key } of all) await etcd.call(kv.put, { key: bytes(key), value: bytes(value) });
    };
    await writeAll("1");
    process.kill(victim.pid, "SIGKILL");
    await writeAll("2");
    await writeAll("3");
    for (const { client } of all) {
      const values = (await client.events(3)).map(({ kv: one }) => Buffer.from(one?.value ?? []).toString());
      expect(values).toEqual(["1", "2", "3"]);
    }
  });

  it("rules 10, 16, 25: without a quorum no watch is granted, and streams that need a leader end", async () => {
    await using cluster = await startEtcdCluster({ binary, members: 3 });
    const [lonely, ...others] = cluster.members;
    if (lonely === undefined) throw new Error("three members");
    await using proxy = await startProxy({ endpoints: [lonely.clientAddress], watchCreateTimeout: 2_000 });
    const { port } = proxy.address;
    await using plain = new WatchClient(port);
    await using strict = new WatchClient(port, ["hasleader", "true"]);
    for (const client of [plain, strict]) {
      client.create({ key: bytes("k") });
      expect((await client.next()).created).toBe(true);
    }
    for (const member of others) await member.stop();
    try {
      plain.create({ key: bytes("other") });
      expect(await plain.next()).toMatchObject({ created: true, canceled: true, watchId: -1n });
      expect(await strict.end()).toMatchObject({ code: 14, message: "etcdserver: no leader" });
    } finally {
      for (const member of others) member.resume();
    }
    expect(plain.outcome).toBeUndefined();
    // It goes on where it was once there is a quorum again.
    await using etcd = new EtcdClient(lonely.clientAddress);
    const isWritten = () =>
      etcd.call(kv.put, { key: bytes("k") }).then(
        () => true,
        () => false,
      );
    await expect.poll(isWritten).toBe(true);
    expect((await plain.events(1))[0]?.kv?.key).toEqual(bytes("k"));
  });

  it("rule 35: a watch with a field that we do not know has an upstream watch of its own", async () => {
    await using cluster = await startEtcdCluster({ binary });
    const [member] = cluster.members;
    if (member === undefined) throw new Error("one member");
    await using proxy = await startProxy({ endpoints: cluster.endpoints.slice() });
    const { port } = proxy.address;
    await using known = new WatchClient(port);
    await using newer = new WatchClient(port);
    known.create({ key: bytes("k") });
    await known.next();
    newer.create({ key: bytes("k") }, [0xf8, 0x3f, 0x07]);
    expect((await newer.next()).created).toBe(true);
    await expect.poll(() => watchesAt(member)).toBe(2);
    await using etcd = new EtcdClient(`127.0.0.1:${port}`);
    await etcd.call(kv.put, { key: bytes("k"), value: bytes("v") });
    for (const client of [known, newer]) expect(await client.events(1)).toHaveLength(1);
  });

  it("a client that does not read is parked, later gets everything, and delays nobody", async () => {
    await using cluster = await startEtcdCluster({ binary });
    // Small logs: what the slow one has missed must come from etcd again.
    await using proxy = await startProxy({
      endpoints: cluster.endpoints.slice(),
      watchLogBytes: 1 << 20,
      watchLogBytesPerFeed: 1 << 20,
    });
    const { port } = proxy.address;
    await using slow = new WatchClient(port);
    await using fast = new WatchClient(port);
    for (const client of [slow, fast]) {
      client.create({ key: bytes("k") });
      await client.next();
    }
    slow.pause();
    await using etcd = new EtcdClient(`127.0.0.1:${port}`);
    const value = Buffer.alloc(100_000, "v");
    const count = 100;
    for (let i = 0; i < count; i++) await etcd.call(kv.put, { key: bytes("k"), value });
    const versions = (list: readonly Event[]) => list.map(({ kv: one }) => one?.version);
    const expected = Array.from({ length: count }, (_, i) => BigInt(i + 1));
    expect(versions(await fast.events(count))).toEqual(expected);
    slow.resume();
    expect(versions(await slow.events(count))).toEqual(expected);
  });

  it("--watch-stall-timeout ends a stream that nobody reads, and no other", async () => {
    await using cluster = await startEtcdCluster({ binary });
    await using proxy = await startProxy({ endpoints: cluster.endpoints.slice(), watchStallTimeout: 1_000 });
    const { port } = proxy.address;
    await using slow = new WatchClient(port);
    await using fast = new WatchClient(port);
    for (const client of [slow, fast]) {
      client.create({ key: bytes("k") });
      await client.next();
    }
    slow.pause();
    await using etcd = new EtcdClient(`127.0.0.1:${port}`);
    const value = Buffer.alloc(500_000, "v");
    const metric = async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/proxy/metrics`)).text();
      return Number(/^etcd_edge_watch_stalled_streams_total(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1] ?? 0);
    };
    for (let i = 0; i < 4; i++) await etcd.call(kv.put, { key: bytes("k"), value });
    await expect.poll(metric).toBe(1);
    expect(await fast.events(4)).toHaveLength(4);
    expect(fast.outcome).toBeUndefined();
  });
});
