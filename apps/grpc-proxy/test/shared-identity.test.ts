import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Auth, create, KV, PutRequestSchema, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdCluster, enableAuth, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
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

    async function put(proxy: GrpcProxy, key: string): Promise<void> {
      await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
      const metadata = ["token", await tokenOf(proxy, "root")];
      await client.call(kv.put, create(PutRequestSchema, { key: bytes(key) }), metadata);
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

describe("tokens that end", () => {
  it.each([["root"], [""]])("cut no watch of those who came with them (--user=%s)", async (user) => {
    const binary = (await findEtcdBinaries()).at(-1);
    if (binary === undefined) throw new Error("no etcd");
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-tokens-"));
    await using undo = new AsyncDisposableStack();
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "password"), "pw");
    const cluster = undo.use(await startEtcdCluster({ binary, args: ["--auth-token-ttl=1"] }));
    await enableAuth(cluster);
    const passwordFile = user === "" ? "" : join(folder, "password");
    // Not asked about meanwhile: that alone would keep the tokens.
    const more = { user, passwordFile, authRecheck: 600_000 };
    const proxy = undo.use(await startProxy({ endpoints: cluster.endpoints, ...more }));
    const login = async (): Promise<string> => {
      await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`);
      return (await client.call(auth.authenticate, { name: "root", password: "pw" })).token;
    };
    const watchers: WatchClient[] = [];
    for (let joined = 1; joined <= 3; joined++) {
      const token = await login();
      const watcher = undo.use(new WatchClient(proxy.address.port, ["token", token]));
      watcher.create({ key: bytes("k") });
      expect(await watcher.next()).toMatchObject({ created: true, canceled: false });
      watchers.push(watcher);
      await using client = new EtcdClient(cluster.endpoints[0] ?? "");
      const isKnown = (): Promise<boolean> =>
        client.call(auth.userGet, { name: "root" }, ["token", token]).then(
          () => true,
          () => false,
        );
      // On a feed of the client's own its token is used, and so kept, for as long as there is a watch; on ours it ends.
      if (user === "") expect(await isKnown()).toBe(true);
      else await expect.poll(isKnown, { timeout: 60_000, interval: 2_500 }).toBe(false); // asking keeps it, too
      await client.call(kv.put, create(PutRequestSchema, { key: bytes("k") }), ["token", await login()]);
      for (const one of watchers) expect(await one.events(1)).toHaveLength(1);
    }
  });
});
