import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findEtcdBinaries, readHelpFlags } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "..", "src", "main.ts");

it("refuses a namespace that is not UTF-8, which would not be the one that was asked for", async () => {
  const command = `exec "$0" "$1" start --listen-addr=127.0.0.1:0 --namespace="$(printf 'a\\377')"`;
  const started = promisify(execFile)("sh", ["-c", command, process.execPath, main]);
  await expect(started).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("must be UTF-8") });
});

describe.each(await findEtcdBinaries())("the command line beside etcd $version", ({ etcd }) => {
  it("has every flag of etcd grpc-proxy, with its type, text and default", async () => {
    const theirs = await readHelpFlags(etcd, ["grpc-proxy", "start"]);
    const ours = await readHelpFlags(process.execPath, [main, "start"]);
    expect(theirs.size).toBeGreaterThan(25);
    for (const [flag, row] of theirs) expect(ours.get(flag)).toEqual(row);
  });
});
