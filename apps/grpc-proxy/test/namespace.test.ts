import { create, fromBinary, RangeRequestSchema, RangeResponseSchema, toBinary } from "@etcd-edge/proto";
import { type EtcdCluster, findEtcdBinaries, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GrpcProxy } from "../src/app.ts";
import { createByteClient, startProxy } from "./proxy-under-test.ts";

describe.each(await findEtcdBinaries())("--namespace before etcd $version", (binary) => {
  let cluster: EtcdCluster;
  let proxy: GrpcProxy;
  let strict: GrpcProxy;

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary });
    proxy = await startProxy({ endpoints: cluster.endpoints, namespace: "ns/" });
    strict = await startProxy({ endpoints: cluster.endpoints, namespace: "ns/", namespacePolicy: "strict" });
  });
  afterAll(async () => {
    for (const one of [proxy, strict, cluster]) await one[Symbol.asyncDispose]();
  });

  const through = async (door: GrpcProxy, ...args: string[]): Promise<string> =>
    (await cluster.etcdctl(args, [`127.0.0.1:${door.address.port}`])).stdout;
  const direct = async (...args: string[]): Promise<string> => (await cluster.etcdctl(args)).stdout;

  it("keeps keys inside, and shows them without the prefix", async () => {
    await direct("put", "ns", "below");
    await direct("put", "ns0", "above");
    await through(proxy, "put", "a", "1");
    await through(proxy, "put", "b", "2");
    expect(await direct("get", "ns/", "--prefix")).toBe("ns/a\n1\nns/b\n2\n");
    expect(await through(proxy, "get", "a")).toBe("a\n1\n");
    expect(await through(proxy, "get", "", "--prefix")).toBe("a\n1\nb\n2\n");
    expect(await through(proxy, "get", "b", "--from-key")).toBe("b\n2\n");
    expect(await through(proxy, "del", "", "--from-key")).toBe("2\n");
    expect(await direct("get", "ns", "--prefix", "--keys-only")).toBe("ns\n\nns0\n\n");
  });

  it("scopes transactions", async () => {
    const address = `127.0.0.1:${proxy.address.port}`;
    const script = 'printf \'value("x") = "1"\\n\\nput y 2\\nget x\\n\\n\\n\'';
    await through(proxy, "put", "x", "1");
    const env = { ETCDCTL_API: "3" };
    const txn = `${script} | ${cluster.binary.etcdctl} --endpoints=${address} txn`;
    await using program = startProgram("sh", ["-c", txn], { env });
    expect(await program.exited).toBe(0);
    expect(program.output()).toContain("SUCCESS\n\nOK\n\nx\n1");
    expect(await direct("get", "ns/y", "--print-value-only")).toBe("2\n");
  });

  it("scopes a watch of everything, and shows its keys without the prefix", async () => {
    await direct("put", "outside", "no");
    await through(proxy, "put", "inside", "yes");
    const address = `127.0.0.1:${proxy.address.port}`;
    const args = [`--endpoints=${address}`, "watch", "", "--prefix", "--rev=1"];
    await using watch = startProgram(cluster.binary.etcdctl, args, { env: { ETCDCTL_API: "3" } });
    await watch.waitForLine("inside");
    expect(watch.output()).not.toContain("outside");
    expect(watch.output()).not.toContain("ns/");
  });

  it("shows a lease's keys without the prefix, and none from outside", async () => {
    const grant = await through(proxy, "lease", "grant", "600");
    const id = /lease (\w+) granted/.exec(grant)?.[1] ?? "";
    await through(proxy, "put", "leased", "x", `--lease=${id}`);
    await direct("put", "elsewhere", "x", `--lease=${id}`);
    expect(await through(proxy, "lease", "timetolive", id, "--keys")).toContain("attached keys([leased])");
    expect(await direct("lease", "timetolive", id, "--keys")).toContain("elsewhere");
  });

  it("refuses an empty key as etcd does", async () => {
    using client = createByteClient(proxy.address.port);
    const error = await new Promise<ServiceError | null>((resolve) =>
      client.range(Buffer.alloc(0), new Metadata(), {}, (failed) => resolve(failed)),
    );
    expect(error).toMatchObject({ code: 3, details: "etcdserver: key is not provided" });
  });

  it("rule 7: a key given twice does not get out", async () => {
    await direct("put", "secret", "s");
    await through(proxy, "put", "open", "o");
    const key = (name: string): Uint8Array =>
      toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: Buffer.from(name) }));
    using client = createByteClient(proxy.address.port);
    for (const [first, last, expected] of [
      ["open", "secret", []],
      ["secret", "open", ["open"]],
    ] as const) {
      const answer = await new Promise<Buffer>((resolve, reject) =>
        client.range(Buffer.concat([key(first), key(last)]), new Metadata(), {}, (error, bytes) =>
          bytes === undefined ? reject(error) : resolve(bytes),
        ),
      );
      const { kvs } = fromBinary(RangeResponseSchema, answer);
      expect(kvs.map((kv) => Buffer.from(kv.key).toString())).toEqual(expected);
    }
  });

  it("leaves locks alone by default, as etcd's proxy, and scopes them under the strict policy", async () => {
    expect(await through(proxy, "lock", "m", "echo", "held")).toBe("held\n");
    expect(await through(strict, "lock", "m", "echo", "held")).toBe("held\n");
    await expect(through(strict, "snapshot", "save", "/nonexistent/x")).rejects.toThrow(
      /Maintenance\/Snapshot reaches beyond the namespace|no such file/,
    );
    await expect(through(strict, "role", "list")).rejects.toThrow(
      "Auth/RoleList reaches beyond the namespace",
    );
    expect(await through(proxy, "role", "list")).toBe("");
  });
});
