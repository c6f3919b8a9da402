import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Auth, create, KV, PutRequestSchema, RangeRequestSchema, toGrpcJsService } from "@etcd-edge/proto";
import {
  type CertificateAuthority,
  createAuthority,
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import type { Config } from "../src/options.ts";
import { EtcdClient } from "./etcd-client.ts";
import { EventLog } from "./event-log.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const auth = toGrpcJsService(Auth);
const kv = toGrpcJsService(KV);
const bytes = (text: string): Uint8Array => Buffer.from(text);
const denied = { code: 7, message: "etcdserver: permission denied" };
const deniedWatch = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";

describe.each(await findEtcdBinaries())(
  "an identity of our own by certificate, before etcd $version with --client-cert-auth",
  (binary) => {
    let folder: string;
    let authority: CertificateAuthority;
    let cluster: EtcdCluster;
    /** What clients' calls travel with. */
    let nameless: Partial<Config>;
    const file = (name: string): string => join(folder, name);
    const etcdctl = (...args: string[]) => cluster.etcdctl([...args, "--user=root:pw"]);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "etcd-edge-own-certificate-"));
      const { privateKey, publicKey } = generateKeyPairSync("rsa", {
        modulusLength: 2048,
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "pkcs1", format: "pem" },
      });
      await writeFile(file("jwt.key"), privateKey);
      await writeFile(file("jwt.pub"), publicKey);
      authority = await createAuthority();
      const { certFile, keyFile } = await authority.issue({ name: "nameless" });
      nameless = { cert: certFile, key: keyFile, cacert: authority.caFile };
      const token = `jwt,pub-key=${file("jwt.pub")},priv-key=${file("jwt.key")},sign-method=RS256,ttl=10m`;
      cluster = await startEtcdCluster({
        binary,
        certAuth: { certFile, keyFile, trustedCaFile: authority.caFile },
        args: [`--auth-token=${token}`, "--bcrypt-cost=4"],
      });
      await enableAuth(cluster, ["ann", "eve", "bob", "edge", "poor"]);
      await etcdctl("role", "add", "reader");
      await etcdctl("role", "grant-permission", "reader", "read", "a", "b");
      for (const user of ["ann", "eve", "edge"]) await etcdctl("user", "grant-role", user, "reader");
      await etcdctl("role", "add", "registrar");
      await etcdctl("role", "grant-permission", "registrar", "readwrite", "tier/", "tier0");
      await etcdctl("user", "grant-role", "edge", "registrar");
    });
    afterAll(async () => {
      for (const one of [cluster, authority]) await one[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });

    /** A proxy that is `user` in its own name. */
    async function start(user: string, more: Partial<Config> = {}) {
      const { certFile, keyFile } = await authority.issue({ name: user, subject: `O=etcd, CN=${user}` });
      const own = { userCert: certFile, userKey: keyFile, authRecheck: 60_000 };
      const log = new EventLog();
      const config = { endpoints: cluster.secureEndpoints, ...nameless, ...own, ...more };
      return { proxy: await startProxy(config, log.logger), log };
    }

    async function tokenOf(name: string): Promise<string[]> {
      await using client = new EtcdClient(cluster.endpoints[0] ?? "");
      return ["token", (await client.call(auth.authenticate, { name, password: "pw" })).token];
    }

    async function countOf({ address }: GrpcProxy, metric: string): Promise<number> {
      const text = await (await fetch(`http://127.0.0.1:${address.port}/proxy/metrics`)).text();
      return Number(new RegExp(`^${metric} (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
    }

    /** Calls of one user, or of nobody, through a proxy. */
    async function clientOf(proxy: GrpcProxy, user: string | undefined, undo: AsyncDisposableStack) {
      const client = undo.use(new EtcdClient(`127.0.0.1:${proxy.address.port}`));
      const metadata = user === undefined ? [] : await tokenOf(user);
      const read = async (key: string, serializable = false): Promise<string> => {
        const request = create(RangeRequestSchema, { key: bytes(key), serializable });
        const { kvs } = await client.call(kv.range, request, metadata);
        return kvs.map(({ value }) => Buffer.from(value).toString()).join();
      };
      return {
        read,
        put: (key: string, value = "") =>
          client.call(kv.put, create(PutRequestSchema, { key: bytes(key), value: bytes(value) }), metadata),
        /** Reads until a read goes under our identity. */
        readShared: async (key: string): Promise<void> => {
          const count = () => countOf(proxy, "etcd_edge_reads_as_user_total");
          const before = await count();
          await expect
            .poll(() => read(key).then(count), { timeout: 60_000, interval: 20 })
            .toBeGreaterThan(before);
        },
        watch: async () => {
          const watcher = undo.use(new WatchClient(proxy.address.port, metadata));
          watcher.create({ key: bytes("a"), rangeEnd: bytes("b") });
          return { watcher, created: await watcher.next() };
        },
      };
    }

    it("rule 8: what is ours goes as the certificate's user, and nothing of a client's ever does", async () => {
      await using undo = new AsyncDisposableStack();
      const [endpoint = ""] = cluster.secureEndpoints;
      const { proxy, log } = await start("edge", {
        endpoints: [endpoint.replace("127.0.0.1", "localhost")],
        ...{ endpointsAutoSyncInterval: 200, resolverPrefix: "tier", resolverTtl: 60 },
        advertiseClientUrl: "127.0.0.1:1",
      });
      undo.use(proxy);
      // Members are told to users only, from 3.5 on, and only `edge` may write there.
      await log.waitFor("endpoints changed by the member list", ({ endpoints }) => {
        return String(endpoints) === `https://${endpoint}`;
      });
      await log.waitFor("registered the proxy");
      expect((await etcdctl("get", "tier/", "--prefix", "--keys-only")).stdout).toContain("tier/127.0.0.1:1");

      const [ann, eve, bob, root, none] = [
        await clientOf(proxy, "ann", undo),
        await clientOf(proxy, "eve", undo),
        await clientOf(proxy, "bob", undo),
        await clientOf(proxy, "root", undo),
        await clientOf(proxy, undefined, undo),
      ];
      // What etcd itself says to who shows a certificate without a name, and no token. `edge` may do all of this.
      const isNobody = async (): Promise<void> => {
        await expect(none.read("a1")).rejects.toMatchObject(denied);
        await expect(none.read("a1", true)).rejects.toMatchObject(denied);
        await expect(none.read("tier/127.0.0.1:1")).rejects.toMatchObject(denied);
        await expect(none.put("tier/x")).rejects.toMatchObject(denied);
        expect((await none.watch()).created).toMatchObject({ canceled: true, cancelReason: deniedWatch });
      };
      await isNobody();
      const tls = {
        ca: authority.ca,
        cert: await readFile(String(nameless.cert)),
        key: await readFile(String(nameless.key)),
      };
      const direct = undo.use(new EtcdClient(endpoint, tls));
      const straight = direct.call(kv.range, create(RangeRequestSchema, { key: bytes("a1") }));
      await expect(straight).rejects.toMatchObject(denied);
      await root.put("a1", "shared");
      for (const user of [ann, eve]) await user.readShared("a1");
      const watches = [await ann.watch(), await eve.watch()];
      for (const { created } of watches) expect(created).toMatchObject({ created: true, canceled: false });
      // Users of different tokens on one feed: it is nobody's of them.
      await expect
        .poll(() => countOf(proxy, "etcd_grpc_proxy_watchers_coalescing_total"), { timeout: 60_000 })
        .toBe(2);
      await isNobody();
      await expect(bob.read("a1", true)).rejects.toMatchObject(denied);
      expect((await bob.watch()).created).toMatchObject({ canceled: true, cancelReason: deniedWatch });

      // A connection that is made anew says by itself whose it is.
      await cluster.members[0]?.kill();
      await cluster.members[0]?.restart();
      await expect.poll(() => root.put("a2").then(() => "put", String), { timeout: 60_000 }).toBe("put");
      for (const { watcher } of watches) expect(await watcher.events(1)).toHaveLength(1);
      await isNobody();
    });

    it("rule 18: what etcd refuses the certificate's user is asked with the client's own credential", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use((await start("poor")).proxy);
      const ann = await clientOf(proxy, "ann", undo);
      await ann.readShared("a1");
      expect(await countOf(proxy, "etcd_edge_reads_as_user_refused_total")).toBe(1);
      expect((await ann.watch()).created).toMatchObject({ created: true, canceled: false });
    });

    it("rule 18: a user that etcd does not have is told of, and clients are served without it", async () => {
      await using undo = new AsyncDisposableStack();
      const { proxy, log } = await start("ghost");
      undo.use(proxy);
      const { error, user } = await log.waitFor("etcd does not let the proxy act as its own user");
      expect(String(error)).toBe('Error: etcd has no user "ghost"');
      expect(user).toBe("ghost");
      const ann = await clientOf(proxy, "ann", undo);
      await ann.read("a1");
      expect((await ann.watch()).created).toMatchObject({ created: true, canceled: false });
      expect(await countOf(proxy, "etcd_edge_reads_as_user_total")).toBe(0);
    });

    it("rule 38: users of clients' certificates get their tokens by it, where etcd says its auth revision", async () => {
      await using undo = new AsyncDisposableStack();
      const { certFile, keyFile } = await authority.issue({ name: "server" });
      const { proxy } = await start("root", {
        ...{ authJwtKey: file("jwt.key"), certFile, keyFile, trustedCaFile: authority.caFile },
      });
      undo.use(proxy);
      const own = await authority.issue({ name: "ann", subject: "CN=ann" });
      const [cert, key] = [await readFile(own.certFile), await readFile(own.keyFile)];
      const tls = { ca: authority.ca, cert, key };
      const client = undo.use(new EtcdClient(`127.0.0.1:${proxy.address.port}`, tls));
      const read = (of: string) => client.call(kv.range, create(RangeRequestSchema, { key: bytes(of) }));
      if (binary.version.startsWith("3.4.")) {
        await expect(read("a1")).rejects.toThrow(
          "--auth-jwt-key needs --user with etcd 3.4, not --user-cert",
        );
        return;
      }
      await read("a1");
      await expect(read("z")).rejects.toMatchObject(denied);
    });
  },
);
