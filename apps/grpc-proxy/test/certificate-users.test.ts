import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { create, KV, Lease, PutRequestSchema, RangeRequestSchema, toGrpcJsService } from "@etcd-edge/proto";
import {
  type CertificateAuthority,
  createAuthority,
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  startEtcdCluster,
} from "@etcd-edge/testkit";
import { CallError } from "@etcd-edge/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import type { Config } from "../src/options.ts";
import { EtcdClient } from "./etcd-client.ts";
import { LeaseClient } from "./lease-client.ts";
import { startProxy } from "./proxy-under-test.ts";
import { WatchClient } from "./watch-client.ts";

const kv = toGrpcJsService(KV);
const lease = toGrpcJsService(Lease);
const bytes = (text: string): Uint8Array => Buffer.from(text);
const denied = { code: 7, message: "etcdserver: permission denied" };

describe.each(await findEtcdBinaries())(
  "users of client certificates, etcd $version with JWT tokens",
  (binary) => {
    let folder: string;
    let authority: CertificateAuthority;
    let cluster: EtcdCluster;
    let server: Partial<Config>;
    const file = (name: string): string => join(folder, name);
    const etcdctl = (...args: string[]) => cluster.etcdctl([...args, "--user=root:pw"]);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "etcd-edge-jwt-"));
      const { privateKey, publicKey } = generateKeyPairSync("rsa", {
        modulusLength: 2048,
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "pkcs1", format: "pem" },
      });
      await writeFile(file("jwt.key"), privateKey);
      await writeFile(file("jwt.pub"), publicKey);
      await writeFile(file("password"), "pw");
      const token = `jwt,pub-key=${file("jwt.pub")},priv-key=${file("jwt.key")},sign-method=RS256,ttl=10m`;
      cluster = await startEtcdCluster({ binary, args: [`--auth-token=${token}`, "--bcrypt-cost=4"] });
      await enableAuth(cluster, ["ann"]);
      await etcdctl("role", "add", "reader");
      await etcdctl("role", "grant-permission", "reader", "readwrite", "a", "b");
      await etcdctl("user", "grant-role", "ann", "reader");
      authority = await createAuthority();
      const own = await authority.issue({ name: "server" });
      server = { certFile: own.certFile, keyFile: own.keyFile, trustedCaFile: authority.caFile };
    });
    afterAll(async () => {
      for (const one of [cluster, authority]) await one[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });

    const start = (more: Partial<Config>): Promise<GrpcProxy> =>
      startProxy({ endpoints: cluster.endpoints, authRecheck: 300, ...server, ...more });
    const withKey = (): Partial<Config> => ({
      user: "root",
      passwordFile: file("password"),
      authJwtKey: file("jwt.key"),
    });

    async function certificateOf(user: string) {
      const { certFile, keyFile } = await authority.issue({ name: user, subject: `CN=${user}` });
      return { ca: authority.ca, cert: await readFile(certFile), key: await readFile(keyFile) };
    }

    it("rule 38: are who their certificate says, in every kind of call and whenever users and roles change", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start(withKey()));
      const address = `127.0.0.1:${proxy.address.port}`;
      const tls = await certificateOf("ann");
      const client = undo.use(new EtcdClient(address, tls));
      await client.call(kv.put, create(PutRequestSchema, { key: bytes("a1"), value: bytes("v") }));
      const { kvs } = await client.call(kv.range, create(RangeRequestSchema, { key: bytes("a1") }));
      expect(kvs).toHaveLength(1);
      const asked = client.call(kv.range, create(RangeRequestSchema, { key: bytes("z") }));
      await expect(asked).rejects.toMatchObject(denied);

      const watcher = undo.use(new WatchClient(proxy.address.port, [], tls));
      watcher.create({ key: bytes("a"), rangeEnd: bytes("b") });
      expect(await watcher.next()).toMatchObject({ created: true, canceled: false });
      const { ID } = await client.call(lease.leaseGrant, { TTL: 60n });
      const keeper = undo.use(new LeaseClient(address, tls));
      expect(await keeper.keepAlive().renew(ID)).toBeGreaterThanOrEqual(59n);

      // Every change of users and roles makes all tokens old.
      await etcdctl("role", "grant-permission", "reader", "readwrite", "z");
      await client.call(kv.put, create(PutRequestSchema, { key: bytes("z") }));
      await client.call(kv.put, create(PutRequestSchema, { key: bytes("a2") }));
      expect((await watcher.events(1))[0]?.kv?.key).toEqual(Buffer.from("a2"));

      await etcdctl("role", "revoke-permission", "reader", "a", "b");
      expect(await watcher.next()).toMatchObject({ canceled: true });
      await etcdctl("role", "grant-permission", "reader", "readwrite", "a", "b");
      await etcdctl("role", "revoke-permission", "reader", "z");
    });

    it("rule 28: share reads with all who may read the same, and get no others'", async () => {
      await using undo = new AsyncDisposableStack();
      const proxy = undo.use(await start({ ...withKey(), authRecheck: 60_000 }));
      const address = `127.0.0.1:${proxy.address.port}`;
      const tls = await certificateOf("ann");
      const client = undo.use(new EtcdClient(address, tls));
      const read = async (key: string): Promise<string> => {
        const { kvs } = await client.call(kv.range, create(RangeRequestSchema, { key: bytes(key) }));
        return kvs.map(({ value }) => Buffer.from(value).toString()).join();
      };
      const shared = async (): Promise<number> => {
        const request = get(`https://${address}/proxy/metrics`, { ...tls, agent: false });
        const [response] = (await once(request, "response")) as [IncomingMessage];
        return Number(/^etcd_edge_reads_as_user_total (\S+)/m.exec(await text(response))?.[1]);
      };
      await client.call(kv.put, create(PutRequestSchema, { key: bytes("a3"), value: bytes("1") }));
      await expect.poll(() => read("a3").then(shared), { timeout: 30_000, interval: 50 }).toBeGreaterThan(0);
      await client.call(kv.put, create(PutRequestSchema, { key: bytes("a3"), value: bytes("2") }));
      expect(await read("a3")).toBe("2");
      await expect(read("z")).rejects.toMatchObject(denied);
    });

    it("who do not exist are refused, as etcd words it", async () => {
      await using proxy = await start(withKey());
      await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`, await certificateOf("nobody"));
      const refused = client.call(kv.range, create(RangeRequestSchema, { key: bytes("a1") }));
      await expect(refused).rejects.toMatchObject(denied);
    });

    it("without the key are refused with a reason", async () => {
      await using proxy = await start({});
      const tls = await certificateOf("ann");
      await using client = new EtcdClient(`127.0.0.1:${proxy.address.port}`, tls);
      const reason =
        'etcdserver: user name is empty; the Common Name "ann" of the client certificate names a user';
      const error = await client
        .call(kv.put, create(PutRequestSchema, { key: bytes("a1") }))
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CallError);
      expect(error).toMatchObject({ code: 3, message: expect.stringContaining(reason) });
      await using watcher = new WatchClient(proxy.address.port, [], tls);
      watcher.create({ key: bytes("a1") });
      expect((await watcher.next()).cancelReason).toContain(reason);
    });
  },
);

it.each<[string, Partial<Config>, string]>([
  ["a user of ours", { authJwtKey: "jwt.key" }, "--auth-jwt-key needs --user and --password-file"],
  ["a method of etcd's", { authJwtKey: "k", authJwtMethod: "none" }, '--auth-jwt-method: etcd has no "none"'],
])("--auth-jwt-key wants %s", async (_, config, problem) => {
  await expect(startProxy(config)).rejects.toThrow(problem);
});
