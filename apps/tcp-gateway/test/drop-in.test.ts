import { fileURLToPath } from "node:url";
import { findEtcdBinaries, readHelpFlags } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

describe.each(await findEtcdBinaries())("the command line beside etcd $version", ({ etcd }) => {
  it("has every flag of etcd gateway, with its type, text and default", async () => {
    const theirs = await readHelpFlags(etcd, ["gateway", "start"]);
    const ours = await readHelpFlags(process.execPath, [main, "start"]);
    expect(theirs.size).toBe(8);
    for (const [flag, row] of theirs) expect(ours.get(flag)).toEqual(row);
  });
});
