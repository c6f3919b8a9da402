import { Auth, KV, toGrpcJsService } from "@etcd-edge/proto";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster } from "@etcd-edge/testkit";
import { CallError, type RawMetadata } from "@etcd-edge/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import { EtcdClient } from "./etcd-client.ts";
import { LeaseClient } from "./lease-client.ts";
import { startProxy } from "./proxy-under-test.ts";

const auth = toGrpcJsService(Auth);
const kv = toGrpcJsService(KV);
const key = Buffer.from("k");

describe.each(await findEtcdBinaries())("with auth on, before etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let proxy: GrpcProxy;
  let doors: { direct: string; proxied: string };
  const tokens = new Map<string, string>();
  let leaseId = 0n;

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary });
    proxy = await startProxy({ endpoints: cluster.endpoints });
    doors = { direct: cluster.endpoints[0] ?? "", proxied: `127.0.0.1:${proxy.address.port}` };
    const root = ["--user=root:r"];
    for (const user of ["root:r", "alice:a", "bob:b"]) await cluster.etcdctl(["user", "add", user]);
    await cluster.etcdctl(["user", "grant-role", "root", "root"]);
    await cluster.etcdctl(["role", "add", "writer"]);
    await cluster.etcdctl(["role", "grant-permission", "writer", "readwrite", "k"]);
    await cluster.etcdctl(["user", "grant-role", "bob", "writer"]);
    await cluster.etcdctl(["auth", "enable"]);
    const { stdout } = await cluster.etcdctl(["lease", "grant", "600", ...root]);
    leaseId = BigInt(`0x${/lease (\w+) granted/.exec(stdout)?.[1]}`);
    await cluster.etcdctl(["put", "k", "v", `--lease=${leaseId.toString(16)}`, ...root]);
    await using client = new EtcdClient(doors.proxied);
    for (const [name, password] of [
      ["root", "r"],
      ["alice", "a"],
      ["bob", "b"],
    ] as const)
      tokens.set(name, (await client.call(auth.authenticate, { name, password })).token);
  });
  afterAll(async () => {
    for (const one of [proxy, cluster]) await one[Symbol.asyncDispose]();
  });

  const token = (user: string): string => tokens.get(user) ?? "";

  async function renew(address: string, metadata: RawMetadata): Promise<unknown> {
    await using client = new LeaseClient(address);
    const stream = client.keepAlive(metadata);
    stream.send(leaseId);
    stream.halfClose();
    const { code, message } = await stream.ended;
    return { code, message, ttls: stream.replies.map(({ TTL }) => TTL >= 599n) };
  }

  async function read(address: string, metadata: RawMetadata): Promise<unknown> {
    await using client = new EtcdClient(address);
    try {
      return (await client.call(kv.range, { key }, metadata)).count;
    } catch (error) {
      if (error instanceof CallError) return { code: error.code, message: error.message };
      throw error;
    }
  }

  it.each(["nobody", "alice", "bob", "root", "somebody unknown"])(
    "rule 12: renewals of %s end as they do at etcd itself",
    async (user) => {
      const metadata = user === "nobody" ? [] : ["token", tokens.get(user) ?? "no such token"];
      expect(await renew(doors.proxied, metadata)).toEqual(await renew(doors.direct, metadata));
    },
  );

  it("rule 12: a refused renewal of one user ends nobody else's stream", async () => {
    await using client = new LeaseClient(doors.proxied);
    const bob = client.keepAlive(["token", token("bob")]);
    expect(await bob.renew(leaseId)).toBeGreaterThanOrEqual(598n);
    const nobody = client.keepAlive();
    const alice = client.keepAlive(["token", token("alice")]);
    nobody.send(leaseId);
    alice.send(leaseId);
    nobody.halfClose();
    alice.halfClose();
    await Promise.all([nobody.ended, alice.ended]);
    expect(await bob.renew(leaseId)).toBeGreaterThanOrEqual(598n);
    bob.cancel();
  });

  it("rule 36: the first token decides, as at etcd itself, and nothing else does", async () => {
    for (const metadata of [
      ["token", token("bob"), "token", token("alice")],
      ["token", token("alice"), "token", token("bob")],
      ["authorization", token("bob"), "token", token("alice")],
      ["authorization", token("bob")],
      ["authorization", token("alice"), "authorization", token("bob")],
      ["token", "", "authorization", token("bob")],
      [],
    ])
      expect(await read(doors.proxied, metadata)).toEqual(await read(doors.direct, metadata));
  });

  it("rule 36: a bearer's token is one on every version", async () => {
    expect(await read(doors.proxied, ["authorization", `Bearer ${token("bob")}`])).toBe(1n);
  });
});
