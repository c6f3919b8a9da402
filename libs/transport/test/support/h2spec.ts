import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder, findProgram } from "@etcd-edge/testkit";

const execute = promisify(execFile);
const module = "github.com/summerwind/h2spec/cmd/h2spec";

/**
 * Path of the h2spec program: the public conformance suite for HTTP/2 servers, built from its Go module once and kept
 * in our cache.
 *
 * @returns undefined where there is no Go; then the cases of rfc9113.test.ts stand in.
 */
export async function ensureH2spec(): Promise<string | undefined> {
  const go = await findProgram("go");
  if (go === undefined) return undefined;
  const folder = cacheFolder("h2spec");
  const program = join(folder, "h2spec");
  if (await isThere(program)) return program;
  await mkdir(folder, { recursive: true });
  // A folder of our own, and a rename at the end: another test run may be building it too.
  const scratch = await mkdtemp(join(folder, "build-"));
  try {
    const run = (...args: string[]): Promise<unknown> => execute(go, args, { cwd: scratch });
    await run("mod", "init", "scratch");
    await run("get", `${module}@latest`);
    await run("build", "-o", "h2spec", module);
    await rename(join(scratch, "h2spec"), program);
  } finally {
    await rm(scratch, { recursive: true });
  }
  return program;
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    // Not built yet.
    return false;
  }
}
