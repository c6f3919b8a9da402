import { describe, expect, it } from "vitest";
import { findEtcdBinaries, isFree, startEtcdCluster } from "../src/index.ts";

const binaries = await findEtcdBinaries();

it("finds an etcd to test with", () => {
  expect(binaries.length).toBeGreaterThan(0);
});

describe.each(binaries)("a cluster of etcd $version", (binary) => {
  it("answers etcdctl, survives the loss of a member, and leaves nothing behind", async () => {
    let port = 0;
    {
      await using cluster = await startEtcdCluster({ binary, members: 3 });
      port = Number(cluster.endpoints[0]?.split(":")[1]);
      await cluster.etcdctl(["put", "k", "v"]);
      await cluster.members[2]?.kill();
      const two = cluster.endpoints.slice(0, 2);
      expect((await cluster.etcdctl(["get", "k", "--print-value-only"], two)).stdout).toBe("v\n");
      await cluster.members[2]?.restart();
      const third = cluster.endpoints.slice(2);
      expect((await cluster.etcdctl(["get", "k", "--print-value-only"], third)).stdout).toBe("v\n");
    }
    expect(await isFree(port)).toBe(true);
  });
});
