import {
  create,
  type MessageInitShape,
  RangeResponseSchema,
  TxnResponseSchema,
  toBinary,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { startFakeEtcd } from "./fake-etcd.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const header = { clusterId: 7n, memberId: 1n, revision: 100n, raftTerm: 2n };

/** An etcd of some version that answers probes and creates. */
function startEtcd(version: string) {
  return startFakeEtcd((call) => {
    switch (call.path) {
      case "/etcdserverpb.KV/Txn":
        return {
          onHalfClose: () => call.respond(toBinary(TxnResponseSchema, create(TxnResponseSchema, { header }))),
        };
      case "/etcdserverpb.KV/Range":
        return {
          onHalfClose: () =>
            call.respond(toBinary(RangeResponseSchema, create(RangeResponseSchema, { header }))),
        };
      default: {
        const created: MessageInitShape<typeof WatchResponseSchema> = { header, created: true };
        return {
          onMessage: () =>
            void call.sendMessage(toBinary(WatchResponseSchema, create(WatchResponseSchema, created))),
        };
      }
    }
  }, version);
}

describe("rule 14: the probe of a watch", () => {
  it.each([
    ["3.4.22", "/etcdserverpb.KV/Range"],
    ["3.5.6", "/etcdserverpb.KV/Range"],
    ["3.4.23", "/etcdserverpb.KV/Txn"],
    ["3.5.7", "/etcdserverpb.KV/Txn"],
    ["3.7.3", "/etcdserverpb.KV/Txn"],
  ])("before etcd %s is a %s", async (version, path) => {
    await using etcd = await startEtcd(version);
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await etcd.probed;
    await using client = new WatchClient(proxy.address.port);
    client.create({ key: Buffer.from("k") });
    expect(await client.next()).toMatchObject({ created: true, canceled: false, header: { revision: 100n } });
    expect(etcd.calls[0]?.path).toBe(path);
  });

  it("rule 36: travels with the one credential that counts, and so does the watch", async () => {
    await using etcd = await startEtcd("3.7.3");
    await using proxy = await startProxy({ endpoints: [etcd.address] });
    await etcd.probed;
    await using client = new WatchClient(proxy.address.port, [
      "authorization",
      "Bearer other",
      "token",
      "ann",
    ]);
    client.create({ key: Buffer.from("k") });
    await client.next();
    expect(etcd.calls.map(({ metadata }) => metadata)).toEqual([
      ["token", "ann", "user-agent", "etcd-edge"],
      ["token", "ann", "hasleader", "true", "user-agent", "etcd-edge"],
    ]);
  });
});
