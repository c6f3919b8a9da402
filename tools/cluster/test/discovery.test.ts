import { fileURLToPath } from "node:url";
import { findEtcdBinaries, type RunningProgram, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import { expect, it } from "vitest";

const launcher = fileURLToPath(new URL("../../launcher/bin/etcd-edge.mjs", import.meta.url));
const newest = (await findEtcdBinaries()).at(-1);
if (newest === undefined) throw new Error("no etcd to test with");

/** Starts a tier through the launcher and reads a field of the line that says it is ready. */
async function startTier(
  args: readonly string[],
  readyMessage: string,
  field: string,
): Promise<RunningProgram & { where: string }> {
  const tier = startProgram(process.execPath, [launcher, ...args, "--listen-addr=127.0.0.1:0"]);
  const line = JSON.parse(await tier.waitForLine(readyMessage)) as Record<string, string>;
  return { ...tier, where: line[field] ?? "" };
}

it("discovery, told of one member, tells the gateway of all, and of one that left for good", async () => {
  // Not strict, because etcd lets nobody go from a cluster younger than five seconds otherwise.
  const args = ["--strict-reconfig-check=false"];
  await using cluster = await startEtcdCluster({ binary: newest, members: 3, args });
  const [told, , leaving] = cluster.members;
  await using discovery = await startTier(
    [
      "discovery",
      "start",
      `--endpoints=${told?.clientAddress}`,
      "--dns-addr=",
      "--endpoints-auto-sync-interval=200ms",
    ],
    "ready to serve discovery requests",
    "url",
  );
  await using gateway = await startTier(
    ["gateway", "start", `--discovery-url=http://127.0.0.1:1,${discovery.where}`, "--log-level=debug"],
    "ready to proxy client requests",
    "listen-addr",
  );
  for (const address of cluster.endpoints) {
    await gateway.waitForLine(`"address":"${address}","from":"unknown","to":"healthy"`);
  }
  expect((await cluster.etcdctl(["put", "foo", "bar"], [gateway.where])).stdout).toBe("OK\n");

  const members = JSON.parse(
    (await cluster.etcdctl(["member", "list", "--write-out=json", "--hex"])).stdout,
  ) as {
    members: { ID: string; name: string }[];
  };
  const id = members.members.find(({ name }) => name === leaving?.name)?.ID;
  await cluster.etcdctl(["member", "remove", String(id)], [told?.clientAddress ?? ""]);
  await gateway.waitForLine(`"msg":"endpoint removed","address":"${leaving?.clientAddress}"`);
  expect((await cluster.etcdctl(["get", "foo", "--print-value-only"], [gateway.where])).stdout).toBe("bar\n");
});
