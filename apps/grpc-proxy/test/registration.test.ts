import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EtcdCluster,
  enableAuth,
  findEtcdBinaries,
  findFreePorts,
  type RunningProgram,
  startEtcdCluster,
  startProgram,
} from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Config } from "../src/options.ts";
import { EventLog } from "./event-log.ts";
import { startProxy } from "./proxy-under-test.ts";

const main = join(import.meta.dirname, "..", "src", "main.ts");
const ttlSeconds = 3;

describe.each(await findEtcdBinaries())("registration in etcd $version", (binary) => {
  let cluster: EtcdCluster;

  beforeAll(async () => {
    cluster = await startEtcdCluster({ binary });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  const direct = async (...args: string[]): Promise<string> => (await cluster.etcdctl(args)).stdout;
  const members = async (port: number): Promise<string> =>
    (await cluster.etcdctl(["member", "list"], [`127.0.0.1:${port}`])).stdout;
  /** A proxy in this process, with its log, once its key is in etcd. */
  const startRegistered = async (prefix: string, changed: Partial<Config> = {}) => {
    const log = new EventLog();
    const registering = { resolverPrefix: prefix, resolverTtl: ttlSeconds, ...changed };
    const proxy = await startProxy({ endpoints: cluster.endpoints, ...registering }, log.logger);
    const { key, ...fields } = await log.waitFor("registered the proxy");
    return { proxy, log, key: String(key), leaseId: String(fields["lease-id"]) };
  };
  const watchDirectly = (prefix: string): RunningProgram =>
    startProgram(
      cluster.binary.etcdctl,
      [`--endpoints=${cluster.endpoints.join(",")}`, "watch", prefix, "--prefix", "--rev=1"],
      { env: { ETCDCTL_API: "3" } },
    );

  it("shows both proxies through either, and neither the one that was killed nor others' prefixes", async () => {
    const ports = await findFreePorts(2);
    const start = (port: number | undefined): RunningProgram =>
      startProgram(process.execPath, [
        main,
        "start",
        `--endpoints=${cluster.endpoints.join(",")}`,
        `--listen-addr=127.0.0.1:${port}`,
        `--advertise-client-url=127.0.0.1:${port}`,
        "--resolver-prefix=pair",
        `--resolver-ttl=${ttlSeconds}`,
        "--debug",
      ]);
    const [a = 0, b = 0] = ports;
    await direct("put", "pair-other/x", '{"Op":0,"Addr":"stranger:1","Metadata":"{\\"name\\":\\"s\\"}"}');
    await using first = start(a);
    await using second = start(b);
    const seen = (port: number): string => `"a proxy is registered","key":"pair/127.0.0.1:${port}"`;
    for (const proxy of [first, second]) for (const port of [a, b]) await proxy.waitForLine(seen(port));
    for (const port of [a, b]) {
      const list = await members(port);
      expect(list).toContain(`, started, ${hostname()}, , 127.0.0.1:${a}`);
      expect(list).toContain(`, started, ${hostname()}, , 127.0.0.1:${b}`);
      expect(list).not.toContain("stranger");
    }
    const killedAtMs = performance.now();
    second.signal("SIGKILL");
    await first.waitForLine(`"a proxy is no longer registered","key":"pair/127.0.0.1:${b}"`);
    // etcd looks for expired leases twice a second; the rest is for a machine that is busy.
    expect(performance.now() - killedAtMs).toBeLessThan(ttlSeconds * 1_000 + 10_000);
    expect(await members(a)).not.toContain(`127.0.0.1:${b}`);
  });

  it("writes etcd's own key and value, behind the namespace", async () => {
    const { proxy, key } = await startRegistered("wire", {
      namespace: "ns/",
      advertiseClientUrl: "{hostname}:7",
    });
    await using _ = proxy;
    expect(key).toBe(`ns/wire/${hostname()}:7`);
    const value = `{"Op":0,"Addr":"${hostname()}:7","Metadata":"{\\"name\\":\\"${hostname()}\\"}"}`;
    expect(await direct("get", key)).toBe(`${key}\n${value}\n`);
    expect(await members(proxy.address.port)).toContain(`${hostname()}:7`);
  });

  it("shares a prefix with etcd's own proxy", async () => {
    const { proxy, log, key } = await startRegistered("mixed", { advertiseClientUrl: "edge:1" });
    await using _ = proxy;
    const [port] = await findFreePorts(1);
    const theirs = `127.0.0.1:${port}`;
    await using _theirs = startProgram(binary.etcd, [
      "grpc-proxy",
      "start",
      `--endpoints=${cluster.endpoints.join(",")}`,
      `--listen-addr=${theirs}`,
      `--advertise-client-url=${theirs}`,
      "--resolver-prefix=mixed",
      `--resolver-ttl=${ttlSeconds}`,
    ]);
    await log.waitFor("a proxy is registered", (fields) => fields["key"] === `mixed/${theirs}`);
    expect(await members(proxy.address.port)).toContain(`${hostname()}, , ${theirs}`);
    const valueAt = (entry: string): Promise<string> => direct("get", entry, "--print-value-only");
    expect((await valueAt(key)).replace("edge:1", theirs)).toBe(await valueAt(`mixed/${theirs}`));
  });

  it("registers anew when its lease was revoked", async () => {
    const { proxy, log, key, leaseId } = await startRegistered("revoked");
    await using _ = proxy;
    await direct("lease", "revoke", leaseId);
    expect(await direct("get", key)).toBe("");
    await log.waitFor("session expired; possible network partition or server restart");
    await log.waitFor("creating a new session to rejoin");
    await log.waitFor("registered the proxy", (fields) => fields["lease-id"] !== leaseId);
    expect(await direct("get", key, "--keys-only")).toBe(`${key}\n\n`);
  });

  it("skips an entry that cannot be read", async () => {
    const { proxy, log } = await startRegistered("bad", { advertiseClientUrl: "good:1" });
    await using _ = proxy;
    await direct("put", "bad/broken", "<html>");
    await direct("put", "bad/other", '{"Op":0,"Addr":"other:1","Metadata":"{\\"name\\":\\"o\\"}"}');
    await log.waitFor("skipped a registration that cannot be read", ({ key }) => key === "bad/broken");
    await log.waitFor("a proxy is registered", ({ key }) => key === "bad/other");
    const list = await members(proxy.address.port);
    expect(list).toContain("good:1");
    expect(list).toContain("o, , other:1");
    expect(list.trim().split("\n")).toHaveLength(2);
  });

  it("leaves an etcd that stopped, and follows it again when it goes on", async () => {
    await using stopping = await startEtcdCluster({ binary });
    const log = new EventLog();
    const changed = { resolverPrefix: "stopping", resolverTtl: 60, advertiseClientUrl: "edge:1" };
    await using proxy = await startProxy({ endpoints: stopping.endpoints, ...changed }, log.logger);
    await log.waitFor("a proxy is registered");
    await stopping.members[0]?.stop();
    await log.waitFor("failed to follow the registered proxies");
    const through = [`127.0.0.1:${proxy.address.port}`];
    expect((await stopping.etcdctl(["member", "list"], through)).stdout).toContain("edge:1");
    stopping.members[0]?.resume();
    await stopping.etcdctl(["put", "stopping/b", '{"Addr":"late:1","Metadata":"{\\"name\\":\\"l\\"}"}']);
    await log.waitFor("a proxy is registered", ({ key }) => key === "stopping/b");
    expect((await stopping.etcdctl(["member", "list"], through)).stdout).toContain("late:1");
  });

  it("takes its key out before the drain ends, and leaves no lease", async () => {
    const { proxy, key, leaseId } = await startRegistered("leaving", { resolverTtl: 600 });
    // A stream that no drain ends: it waits for a leader that there is not.
    const { port } = proxy.address;
    const channel = new Channel({ endpoint: { host: "127.0.0.1", port } });
    const request = Buffer.from("\n\x04held");
    const observing = channel.open(
      "/v3electionpb.Election/Observe",
      [],
      {},
      { onMessage: () => {}, onEnd: () => {} },
    );
    observing.sendMessage(request, true);
    await channel.unaryCall("/etcdserverpb.Maintenance/Status", [], Buffer.alloc(0));
    await using watch = watchDirectly(key);
    let isDrained = false;
    const drained = proxy.drain(AbortSignal.timeout(30_000)).then(() => {
      isDrained = true;
    });
    await watch.waitForLine("DELETE");
    expect(isDrained).toBe(false);
    expect(await direct("lease", "list")).not.toContain(leaseId);
    channel.destroy();
    await drained;
    await proxy[Symbol.asyncDispose]();
  });

  it("answers MemberList by itself where it has an address to tell, and passes it on where it has none", async () => {
    const json = async (advertiseClientUrl: string): Promise<string> => {
      await using proxy = await startProxy({ endpoints: cluster.endpoints, advertiseClientUrl });
      const args = ["member", "list", "-w", "json"];
      return (await cluster.etcdctl(args, [`127.0.0.1:${proxy.address.port}`])).stdout;
    };
    const own = JSON.parse(await json("edge:1"));
    expect(own.header?.cluster_id).toBeUndefined();
    expect(own.members).toEqual([{ name: hostname(), clientURLs: ["edge:1"] }]);
    expect(await json("")).toContain('"name":"m1"');
  });

  it("keeps trying while etcd wants a user, and serves meanwhile", async () => {
    await using guarded = await startEtcdCluster({ binary });
    await enableAuth(guarded);
    const log = new EventLog();
    const changed = { resolverPrefix: "p", resolverTtl: 5, advertiseClientUrl: "edge:1" };
    await using proxy = await startProxy({ endpoints: guarded.endpoints, ...changed }, log.logger);
    const failed = await log.waitFor("failed to register the proxy");
    expect(failed["error"]).toContain("etcdserver: ");
    const through = [`127.0.0.1:${proxy.address.port}`];
    expect((await guarded.etcdctl(["member", "list"], through)).stdout).toContain("edge:1");
    await guarded.etcdctl(["--user=root:pw", "auth", "disable"]);
    await log.waitFor("registered the proxy");
  });

  it("registers as --user where etcd wants one, also when auth comes later and over a new token", async () => {
    await using guarded = await startEtcdCluster({ binary });
    await using folder = await mkdtempDisposable(join(tmpdir(), "etcd-edge-registration-"));
    const passwordFile = join(folder.path, "password");
    await writeFile(passwordFile, "pw\n");
    const log = new EventLog();
    const identity = { user: "root", passwordFile };
    const changed = { resolverPrefix: "p", resolverTtl: 2, advertiseClientUrl: "edge:1", ...identity };
    await using proxy = await startProxy({ endpoints: guarded.endpoints, ...changed }, log.logger);
    const { "lease-id": leaseId } = await log.waitFor("registered the proxy");
    await enableAuth(guarded);
    // Renewals go on, with a user from now on.
    const asRoot = (...args: string[]) => guarded.etcdctl(["--user=root:pw", ...args]);
    await asRoot("lease", "revoke", String(leaseId));
    await log.waitFor("registered the proxy", (fields) => fields["lease-id"] !== leaseId);
    await asRoot("put", "p/b", '{"Addr":"other:1","Metadata":"{\\"name\\":\\"o\\"}"}');
    await log.waitFor("a proxy is registered", ({ key }) => key === "p/b");
    await log.waitFor("a proxy is registered", ({ key }) => key === "p/edge:1");
    // A client gains nothing by it.
    const through = [`127.0.0.1:${proxy.address.port}`];
    await expect(guarded.etcdctl(["get", "p/b"], through)).rejects.toThrow("user name is empty");
  });
});

describe("registration flags", () => {
  it.each([
    [{ resolverPrefix: "p" }, "invalid resolver-ttl 0"],
    [{ resolverPrefix: "p", resolverTtl: -1 }, "invalid resolver-ttl -1"],
    [{ resolverTtl: 5 }, 'invalid resolver-prefix ""'],
    [{ user: "root" }, "--user and --password-file must be given together"],
    [{ resolverPrefix: "p", resolverTtl: 5, advertiseClientUrl: "" }, 'invalid advertise-client-url ""'],
  ])("refuses %o in etcd's words", async (changed, message) => {
    await expect(startProxy(changed)).rejects.toMatchObject({ code: "CONFIG", message });
  });
});
