import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "./cache-folder.ts";
import type { Progress } from "./ensure-etcd.ts";
import { findEtcdBinaries } from "./etcd-binaries.ts";

const execute = promisify(execFile);

/** Releases that distributions do not have yet; the newest of their lines when this was written. */
const releases: readonly string[] = ["3.6.16", "3.7.3"];

/**
 * Builds etcd and etcdctl of the newest release lines from their Go modules into our cache, where Go is present and
 * its module proxy answers; else says so. About a minute each. For tests only.
 */
export async function ensureGoBuiltEtcds(progress: Progress): Promise<void> {
  const present = (await findEtcdBinaries()).map((binary) => binary.version);
  for (const version of releases) {
    const line = `${version.split(".").slice(0, 2).join(".")}.`;
    if (present.some((one) => one.startsWith(line))) continue;
    progress(`building etcd ${version} …`);
    try {
      await build(version);
    } catch (error) {
      progress(
        `no etcd ${version}: ${error instanceof Error ? error.message.split("\n", 1)[0] : String(error)}`,
      );
    }
  }
}

async function build(version: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-go-"));
  const go = (...args: string[]): Promise<unknown> =>
    execute("go", args, { cwd: folder, maxBuffer: 64 << 20 });
  try {
    // A module of its own, because etcd's go.mod has replace directives, which `go install pkg@version` refuses.
    await writeFile(join(folder, "go.mod"), "module scratch\n\ngo 1.23\n");
    const modules = ["go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3"];
    await go("get", ...modules.map((one) => `${one}@v${version}`));
    await go("build", "-trimpath", "-o", join(folder, "out", "etcd"), modules[0] ?? "");
    await go("build", "-trimpath", "-o", join(folder, "out", "etcdctl"), modules[1] ?? "");
    await mkdir(cacheFolder("etcd"), { recursive: true });
    const target = cacheFolder("etcd", `go-${version}`);
    await rm(target, { recursive: true, force: true });
    await rename(join(folder, "out"), target).catch(async () => {
      // Another file system than the temporary folder's.
      await execute("cp", ["-r", join(folder, "out"), target]);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
