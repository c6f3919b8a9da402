import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Auth, create, KV, PutRequestSchema, RangeRequestSchema, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdCluster, enableAuth, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import type { CallError } from "@etcd-edge/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import type { Config } from "../src/options.ts";
import { EtcdClient } from "./etcd-client.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const auth = toGrpcJsService(Auth);
const kv = toGrpcJsService(KV);
const bytes = (text: string): Uint8Array => Buffer.from(text);
const denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
/** As often as a test wants to wait for. */
const authRecheck = 300;

describe.each(await findEtcdBinaries())(
  "watches under --user, before etcd $version with auth on",
  (binary) => {
    let folder: string;
    let cluster: EtcdCluster;
    const passwordFile = (): string => join(folder, "password");
    const etcdctl = (...args: string[]) => cluster.etcdctl([...args, "--user=root:pw"]);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "etcd-edge-identity-"));
      await writeFile(passwordFile(), "pw\n");
      cluster = await startEtcdCluster({ binary });
      await enableAuth(cluster, ["ann", "bob", "eve", "service"]);
      await etcdctl("role", "add", "reader");
      await etcdctl("role", "grant-permission", "reader", "read", "a", "b");
      for (const user of ["ann", "eve"]) await etcdctl("user", "grant-role", user, "reader");
      await etcdctl("role", "add", "other");
      await etcdctl("role", "grant-permission", "other", "read", "z");
      for (const user of ["bob", "service"]) await etcdctl("user", "grant-role", user, "other");
    });
    afterAll(async () => {
      await cluster[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });

    async function start(user: string, more: Partial<Config> = {}): Promise<GrpcProxy> {
      return await startProxy({
        endpoints: cluster.endpoints,
        user,
        passwordFile: passwordFile(),
        authRecheck,
        ...more,
      });
    }

    async function tokenOf({ address }: GrpcProxy, name: string): Promise<string> {
      await using client = new EtcdClient(`127.0.0.1:${address.port}`);
      return (await client.call(auth.authenticate, { name, password: "pw" })).token;
    }

    /** Opens a watch of [a, b) as that user. */
    async function watchAs(proxy: GrpcProxy, user: string | undefined, undo: AsyncDisposableStack) {
      const metadata = user === undefined ? [] : ["token", await tokenOf(proxy, user)];
      const watcher = undo.use(new WatchClient(proxy.address.port, metadata));
      watcher.create({ key: bytes("a"), rangeEnd: bytes("b") });
      return { watcher, created: await watcher.next() };
    }

    async function put(proxy: GrpcProxy, key: string, value = ""): Promise<void> {
      await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
      const metadata = ["token", await tokenOf(proxy, "root")];
      await client.call(kv.put, create(PutRequestSchema, { key: bytes(key), value: bytes(value) }), metadata);
    }

    async function upstreamWatches(): Promise<number> {
      const text = await (await fetch(`http://${cluster.endpoints[0]}/metrics`)).text();
      return Number(/^etcd_debugging_mvcc_watcher_total (\S+)/m.exec(text)?.[1] ?? Number.NaN);
    }

    it("users who may read a range share one watch of etcd's; who may not is told so, as at etcd", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start("root"));
      await put(proxy, "warm"); // by now the proxy has its token
      const before = await upstreamWatches();
      const clients = await Promise.all(
        ["ann", "eve", "root", "ann"].map((user) => watchAs(proxy, user, undo)),
      );
      for (const { created } of clients) expect(created).toMatchObject({ created: true, canceled: false });
      await expect.poll(upstreamWatches, { timeout: 60_000, interval: 50 }).toBe(before + 1);
      expect((await watchAs(proxy, "bob", undo)).created).toMatchObject({
        canceled: true,
        cancelReason: denied,
      });
      expect((await watchAs(proxy, undefined, undo)).created).toMatchObject({
        canceled: true,
        cancelReason: "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
      });
      await put(proxy, "a1");
      for (const { watcher } of clients) expect(await watcher.events(1)).toHaveLength(1);
    });

    it("rule 18: a permission that is revoked ends that user's watches, and nobody else's", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start("root"));
      const [ann, eve] = [await watchAs(proxy, "ann", undo), await watchAs(proxy, "eve", undo)];
      await etcdctl("user", "revoke-role", "ann", "reader");
      const end = await ann.watcher.next();
      expect(end).toMatchObject({ canceled: true, created: false });
      expect([denied, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"]).toContain(
        end.cancelReason,
      );
      await put(proxy, "a2");
      expect(await eve.watcher.events(1)).toHaveLength(1);
      await etcdctl("user", "grant-role", "ann", "reader");
    });

    it("rule 18: so does a user that is deleted, also without an identity of ours", async () => {
      await using undo = new AsyncDisposableStack();
      const proxies = [
        undo.use(await start("root")),
        undo.use(await startProxy({ endpoints: cluster.endpoints, authRecheck })),
      ];
      await etcdctl("user", "add", "tom:pw");
      await etcdctl("user", "grant-role", "tom", "reader");
      const watchers = [];
      for (const proxy of proxies) watchers.push((await watchAs(proxy, "tom", undo)).watcher);
      await etcdctl("user", "delete", "tom");
      for (const watcher of watchers) expect(await watcher.next()).toMatchObject({ canceled: true });
    });

    it("rule 18: what our identity may not read is watched with the client's own credential", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start("service"));
      await put(proxy, "warm");
      const { watcher, created } = await watchAs(proxy, "ann", undo);
      expect(created).toMatchObject({ created: true, canceled: false });
      await put(proxy, "a3");
      expect(await watcher.events(1)).toHaveLength(1);
    });

    async function countOf({ address }: GrpcProxy, metric: string): Promise<number> {
      const text = await (await fetch(`http://127.0.0.1:${address.port}/proxy/metrics`)).text();
      return Number(new RegExp(`^${metric} (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
    }

    /** Reads keys as a user, whose token is fetched once. */
    async function readerAs(proxy: GrpcProxy, user: string, undo: AsyncDisposableStack) {
      const client = undo.use(new EtcdClient(`127.0.0.1:${proxy.address.port}`));
      const metadata = ["token", await tokenOf(proxy, user)];
      return async (key: string, serializable = false): Promise<string> => {
        const request = create(RangeRequestSchema, { key: bytes(key), serializable });
        const { kvs } = await client.call(kv.range, request, metadata);
        return kvs.map(({ value }) => Buffer.from(value).toString()).join();
      };
    }

    /** Reads until a read goes under our identity: that needs a token, and a first read that etcd has allowed. */
    async function untilShared(proxy: GrpcProxy, read: () => Promise<string>): Promise<void> {
      const count = () => countOf(proxy, "etcd_edge_reads_as_user_total");
      const before = await count();
      await expect.poll(() => read().then(count), { timeout: 30_000, interval: 20 }).toBeGreaterThan(before);
    }

    it("rule 28: reads of all who may read a key are shared under our identity, and nobody else gets them", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start("root", { authRecheck: 60_000 }));
      await put(proxy, "a5", "shared");
      const [ann, eve, bob] = await Promise.all(
        ["ann", "eve", "bob"].map((user) => readerAs(proxy, user, undo)),
      );
      if (ann === undefined || eve === undefined || bob === undefined) throw new Error("no readers");
      for (const isSerializable of [false, true]) {
        for (const read of [ann, eve]) await untilShared(proxy, () => read("a5", isSerializable));
        const before = await countOf(proxy, "etcd_edge_reads_as_user_total");
        const all = await Promise.all(
          Array.from({ length: 100 }, () => [ann("a5", isSerializable), eve("a5", isSerializable)]).flat(),
        );
        expect(new Set(all)).toEqual(new Set(["shared"]));
        expect(await countOf(proxy, "etcd_edge_reads_as_user_total")).toBe(before + 200);
        await expect(bob("a5", isSerializable)).rejects.toMatchObject({
          code: 7,
          message: "etcdserver: permission denied",
        });
      }
      await put(proxy, "a5", "changed");
      expect(await Promise.all([ann("a5"), eve("a5")])).toEqual(["changed", "changed"]);
    });

    it("rule 18: who may not read any more is told so soon, and others read on", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start("root"));
      await put(proxy, "a6", "here");
      const [ann, eve] = [await readerAs(proxy, "ann", undo), await readerAs(proxy, "eve", undo)];
      for (const read of [ann, eve, ann, eve]) expect(await read("a6", true)).toBe("here");
      await etcdctl("user", "revoke-role", "ann", "reader");
      const refusal = (): Promise<number> =>
        ann("a6", true).then(
          () => 0,
          ({ code }: CallError) => code,
        );
      // etcd itself says the one or the other: tokens are forgotten with some changes of users.
      await expect
        .poll(refusal, { timeout: 20_000, interval: 20 })
        .toSatisfy((code) => code === 7 || code === 16);
      expect(await eve("a6", true)).toBe("here");
      await etcdctl("user", "grant-role", "ann", "reader");
    });

    it("rule 18: what our identity may not read is read with the client's own credential", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start("service", { authRecheck: 60_000 }));
      await put(proxy, "a7", "hers");
      const ann = await readerAs(proxy, "ann", undo);
      await untilShared(proxy, () => ann("a7"));
      expect(await countOf(proxy, "etcd_edge_reads_as_user_refused_total")).toBe(1);
      expect(await ann("a7")).toBe("hers");
    });

    it("a restarted etcd, which has forgotten our token, costs no event", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start("root", { authRecheck: 60_000 }));
      await put(proxy, "warm");
      const { watcher } = await watchAs(proxy, "ann", undo);
      const [member] = cluster.members;
      await member?.kill();
      await member?.restart();
      await put(proxy, "a4");
      expect(await watcher.events(1)).toHaveLength(1);
    });
  },
);

describe.each(await findEtcdBinaries())("auth that is switched on, etcd $version", (binary) => {
  it("rule 18: ends watches of those who show no credential", async () => {
    await using cluster = await startEtcdCluster({ binary });
    await using proxy = await startProxy({ endpoints: cluster.endpoints, authRecheck });
    await using watcher = new WatchClient(proxy.address.port);
    watcher.create({ key: bytes("a") });
    expect(await watcher.next()).toMatchObject({ created: true });
    await enableAuth(cluster);
    expect(await watcher.next()).toMatchObject({
      canceled: true,
      cancelReason: "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
    });
  });
});
