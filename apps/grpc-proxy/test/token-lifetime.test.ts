import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Auth, create, KV, PutRequestSchema, RangeRequestSchema, toGrpcJsService } from "@etcd-edge/proto";
import { enableAuth, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { EtcdClient } from "./etcd-client.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const auth = toGrpcJsService(Auth);
const kv = toGrpcJsService(KV);
const key = Buffer.from("k");
const ttlSeconds = 10;
/** How long nothing happens before a client joins, in milliseconds: at 0, 15 and 30 s. */
const pausesMs = [0, 15_000, 15_000];

const [newest] = (await findEtcdBinaries()).slice(-1);

describe("clients that join as tokens of 10 s end", () => {
  it.concurrent.each([["root"], [""]])(
    "rule 18: lose no watch and no event by it (--user=%s)",
    async (user) => {
      if (newest === undefined) throw new Error("no etcd is installed");
      const folder = await mkdtemp(join(tmpdir(), "etcd-edge-tokens-"));
      await using undo = new AsyncDisposableStack();
      undo.defer(() => rm(folder, { recursive: true, force: true }));
      const password = join(folder, "password");
      await writeFile(password, "pw");
      const cluster = undo.use(
        await startEtcdCluster({ binary: newest, args: [`--auth-token-ttl=${ttlSeconds}`] }),
      );
      await enableAuth(cluster);
      const proxy = undo.use(
        await startProxy({
          endpoints: cluster.endpoints,
          user,
          passwordFile: user === "" ? "" : password,
          authRecheck: 600_000, // not asked about meanwhile: that alone would keep the tokens
        }),
      );
      const client = undo.use(new EtcdClient(`127.0.0.1:${proxy.address.port}`));
      const direct = undo.use(new EtcdClient(cluster.endpoints[0] ?? ""));
      const joined: { readonly watcher: WatchClient; readonly token: string }[] = [];
      for (const [turn, pauseMs] of pausesMs.entries()) {
        await sleep(pauseMs);
        // Whoever came before: on a feed of ours a client's token is of no use and ends; on its own it is kept by being used.
        for (const { token } of joined.slice(-1)) {
          const known = direct.call(auth.userGet, { name: "root" }, ["token", token]).then(
            () => true,
            () => false,
          );
          expect(await known).toBe(user === "");
        }
        const { token } = await client.call(auth.authenticate, { name: "root", password: "pw" });
        const watcher = undo.use(new WatchClient(proxy.address.port, ["token", token]));
        watcher.create({ key });
        expect(await watcher.next()).toMatchObject({ created: true, canceled: false });
        joined.push({ watcher, token });
        const value = Buffer.from(`${turn}`);
        await client.call(kv.put, create(PutRequestSchema, { key, value }), ["token", token]);
        const { kvs } = await client.call(kv.range, create(RangeRequestSchema, { key }), ["token", token]);
        expect(kvs.map((one) => Buffer.from(one.value).toString())).toEqual([`${turn}`]);
        for (const one of joined) expect(await one.watcher.events(1)).toHaveLength(1);
      }
    },
  );
});
