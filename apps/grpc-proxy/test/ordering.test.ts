import { create, KV, RangeResponseSchema, toBinary, toGrpcJsService } from "@etcd-edge/proto";
import { findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import type { ServerCall, ServerSink } from "@etcd-edge/transport";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { startFakeEtcd } from "./fake-etcd.ts";
import { startProxy } from "./proxy-under-test.ts";

const kv = toGrpcJsService(KV);
const key = Buffer.from("k");
const noGreater =
  "etcdclient: no cluster members have a revision higher than the previously received revision";
const serializable = { key, serializable: true };

/** A member whose store is at a revision that the test sets, and that says so in every answer. */
function member(state: { revision: bigint }): (call: ServerCall) => Partial<ServerSink> {
  return (call) => ({
    onHalfClose: () => {
      const header = { memberId: 1n, revision: state.revision };
      call.respond(toBinary(RangeResponseSchema, create(RangeResponseSchema, { header })));
    },
  });
}

describe("--experimental-serializable-ordering", () => {
  it("shows a client no revision below one it has seen, whichever member lags", async () => {
    const ahead = { revision: 100n };
    const behind = { revision: 90n };
    await using first = await startFakeEtcd(member(ahead));
    await using second = await startFakeEtcd(member(behind));
    const endpoints = [first.address, second.address];
    await using proxy = await startProxy({ endpoints, experimentalSerializableOrdering: true });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    const seen: bigint[] = [];
    for (let i = 0; i < 10; i++)
      seen.push((await client.call(kv.range, serializable)).header?.revision ?? 0n);
    expect(seen).toEqual([...seen].sort((a, b) => Number(a - b)));
    expect(seen.at(-1)).toBe(100n);
    expect(second.calls.length).toBeGreaterThan(0); // it was asked, and not shown
  });

  it("counts what a write showed", async () => {
    const lagging = { revision: 5n };
    await using etcd = await startFakeEtcd((call) =>
      call.path.endsWith("Put") ? member({ revision: 9n })(call) : member(lagging)(call),
    );
    await using proxy = await startProxy({
      endpoints: [etcd.address],
      experimentalSerializableOrdering: true,
    });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    await client.call(kv.put, { key });
    await expect(client.call(kv.range, serializable)).rejects.toMatchObject({ code: 2, message: noGreater });
    lagging.revision = 9n;
    expect((await client.call(kv.range, serializable)).header?.revision).toBe(9n);
  });

  it("waits a little for a member that is catching up", async () => {
    const state = { revision: 50n };
    let reads = 0;
    await using etcd = await startFakeEtcd((call) => {
      reads++;
      if (reads === 2) state.revision = 40n;
      if (reads === 4) state.revision = 50n;
      return member(state)(call);
    });
    await using proxy = await startProxy({
      endpoints: [etcd.address],
      experimentalSerializableOrdering: true,
    });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    for (let i = 0; i < 2; i++)
      expect((await client.call(kv.range, serializable)).header?.revision).toBe(50n);
    expect(reads).toBe(4);
  });

  it("keeps one client's revisions from another's, and finds a token again on another connection", async () => {
    const state = { revision: 100n };
    await using etcd = await startFakeEtcd(member(state));
    await using proxy = await startProxy({
      endpoints: [etcd.address],
      experimentalSerializableOrdering: true,
    });
    const address = `127.0.0.1:${proxy.address.port}`;
    const metadata = ["token", "t"];
    {
      await using client = new EtcdClient(address);
      await client.call(kv.range, serializable, metadata);
    }
    state.revision = 90n;
    await using stranger = new EtcdClient(address);
    expect((await stranger.call(kv.range, serializable)).header?.revision).toBe(90n);
    await using again = new EtcdClient(address);
    await expect(again.call(kv.range, serializable, metadata)).rejects.toMatchObject({ message: noGreater });
  });

  it("sends no write twice", async () => {
    const state = { revision: 100n };
    await using etcd = await startFakeEtcd(member(state));
    await using proxy = await startProxy({
      endpoints: [etcd.address],
      experimentalSerializableOrdering: true,
    });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    await client.call(kv.range, serializable);
    state.revision = 90n;
    const put = { request: { case: "requestPut" as const, value: { key } } };
    await client.call(kv.txn, { success: [put] });
    const get = { request: { case: "requestRange" as const, value: serializable } };
    await expect(client.call(kv.txn, { success: [get] })).rejects.toMatchObject({ message: noGreater });
    expect(etcd.calls.filter(({ path }) => path.endsWith("Txn"))).toHaveLength(1 + 5);
  });

  it("is off by default: a lagging member shows what it has", async () => {
    const state = { revision: 100n };
    await using etcd = await startFakeEtcd(member(state));
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
    await client.call(kv.range, serializable);
    state.revision = 90n;
    expect((await client.call(kv.range, serializable)).header?.revision).toBe(90n);
  });
});

describe.each(await findEtcdBinaries())(
  "--experimental-serializable-ordering before etcd $version",
  (binary) => {
    it("rule 29: a client reads what it wrote, by serializable reads of three members", async () => {
      await using cluster = await startEtcdCluster({ binary, members: 3 });
      await using proxy = await startProxy({
        endpoints: cluster.endpoints,
        experimentalSerializableOrdering: true,
      });
      await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
      const members = new Set<bigint>();
      for (let i = 1; i <= 300; i++) {
        await client.call(kv.put, { key, value: Buffer.from(String(i)) });
        const { kvs, header } = await client.call(kv.range, serializable);
        expect(Buffer.from(kvs[0]?.value ?? []).toString()).toBe(String(i));
        members.add(header?.memberId ?? 0n);
      }
      expect(members.size).toBe(3);
    });
  },
);
