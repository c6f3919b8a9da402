import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { enableAuth, findEtcdBinaries, moveLeader, startEtcdCluster } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { EventLog } from "./event-log.ts";
import { startProxy } from "./proxy-under-test.ts";

describe.each(await findEtcdBinaries())("--endpoints-auto-sync-interval before etcd $version", (binary) => {
  it("follows the member list from one endpoint to all, and lets go of a removed member", async () => {
    await using cluster = await startEtcdCluster({
      binary,
      members: 3,
      args: ["--strict-reconfig-check=false"], // which refuses removals in a cluster's first five seconds
    });
    const [first, second, third] = cluster.members;
    if (first === undefined || second === undefined || third === undefined) throw new Error("three members");
    const log = new EventLog();
    const given = { endpoints: [first.clientAddress], endpointsAutoSyncInterval: 200 };
    await using proxy = await startProxy(given, log.logger);
    const changedTo = (...urls: string[]) =>
      log.waitFor("endpoints changed by the member list", ({ endpoints }) => {
        return JSON.stringify([...(endpoints as string[])].sort()) === JSON.stringify(urls.sort());
      });
    await changedTo(first.clientUrl, second.clientUrl, third.clientUrl);

    // etcd 3.4 loses what the others forward to a leader that has just been removed.
    await moveLeader(cluster, second);
    const list = (await cluster.etcdctl(["member", "list"])).stdout;
    const id = /^(\w+), started, m1,/m.exec(list)?.[1] ?? "";
    await cluster.etcdctl(["member", "remove", id], [second.clientAddress]);
    await changedTo(second.clientUrl, third.clientUrl);
    const through = [`127.0.0.1:${proxy.address.port}`];
    await cluster.etcdctl(["put", "k", "v"], through);
    expect((await cluster.etcdctl(["get", "k"], through)).stdout).toBe("k\nv\n");
  });

  it("asks as --user where etcd tells members to users only", async () => {
    await using cluster = await startEtcdCluster({ binary });
    await enableAuth(cluster);
    await using folder = await mkdtempDisposable(join(tmpdir(), "etcd-edge-auto-sync-"));
    const passwordFile = join(folder.path, "password");
    await writeFile(passwordFile, "pw\n");
    const given = {
      endpoints: [cluster.endpoints[0]?.replace("127.0.0.1", "localhost") ?? ""],
      endpointsAutoSyncInterval: 200,
    };
    const log = new EventLog();
    await using _proxy = await startProxy({ ...given, user: "root", passwordFile }, log.logger);
    await log.waitFor("endpoints changed by the member list", ({ endpoints }) => {
      return String(endpoints) === cluster.members[0]?.clientUrl;
    });

    const other = new EventLog();
    await using _nobody = await startProxy(given, other.logger);
    if (binary.version.startsWith("3.4.")) {
      await other.waitFor("endpoints changed by the member list");
    } else {
      const { error } = await other.waitFor("failed to get the member list");
      expect(error).toContain("etcdserver: user name is empty");
    }
  });
});
