import { create, KV, PutRequestSchema, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { EventLog } from "./event-log.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const kv = toGrpcJsService(KV);
const bytes = (text: string): Uint8Array => Buffer.from(text);

describe.each(await findEtcdBinaries())(
  "a member of another cluster among the endpoints, etcd $version",
  (binary) => {
    it("rule 32: gets no call and no watch, wherever it stands in the list", async () => {
      await using ours = await startEtcdCluster({ binary, members: 3 });
      await using theirs = await startEtcdCluster({ binary, members: 1 });
      const log = new EventLog();
      const [stray = ""] = theirs.endpoints;
      await using proxy = await startProxy({ endpoints: [stray, ...ours.endpoints] }, log.logger);
      const error = "belongs to another cluster";
      await log.waitFor(
        "endpoint changed",
        (fields) => fields["address"] === stray && fields["error"] === error,
      );

      await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
      await using watcher = new WatchClient(proxy.address.port);
      watcher.create({ key: bytes("k"), rangeEnd: bytes("l") });
      await watcher.next();
      const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
      for (const key of keys) await client.call(kv.put, create(PutRequestSchema, { key: bytes(key) }));
      const told = await watcher.events(keys.length);
      expect(told.map((event) => Buffer.from(event.kv?.key ?? []).toString())).toEqual(keys);
      const keysOf = async ({ etcdctl }: EtcdCluster): Promise<string[]> => {
        const { stdout } = await etcdctl(["get", "", "--from-key", "--keys-only"]);
        return stdout.split("\n").filter((line) => line !== "");
      };
      expect(await keysOf(ours)).toHaveLength(keys.length);
      expect(await keysOf(theirs)).toEqual([]);
    });
  },
);
