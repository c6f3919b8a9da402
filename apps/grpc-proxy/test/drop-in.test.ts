import { join } from "node:path";
import { findEtcdBinaries, readHelpFlags } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "..", "src", "main.ts");

describe.each(await findEtcdBinaries())("the command line beside etcd $version", ({ etcd }) => {
  it("has every flag of etcd grpc-proxy, with its type, text and default", async () => {
    const theirs = await readHelpFlags(etcd, ["grpc-proxy", "start"]);
    const ours = await readHelpFlags(process.execPath, [main, "start"]);
    expect(theirs.size).toBeGreaterThan(25);
    for (const [flag, row] of theirs) expect(ours.get(flag)).toEqual(row);
  });
});
