import { execFile } from "node:child_process";
import { access, constants, readdir } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "./cache-folder.ts";

const execute = promisify(execFile);

/** One installed etcd, with the etcdctl that came with it. Paths are absolute. */
export interface EtcdBinary {
  /** `3.4.23` */
  readonly version: string;
  readonly etcd: string;
  readonly etcdctl: string;
}

/**
 * Every etcd of this machine, one of each version, oldest first: `ETCD_BIN` (the program or its folder), the PATH, and
 * what our cache holds.
 */
export async function findEtcdBinaries(): Promise<readonly EtcdBinary[]> {
  const found = new Map<string, EtcdBinary>();
  for (const folder of await candidateFolders()) {
    const binary = await readBinary(folder);
    if (binary !== undefined && !found.has(binary.version)) found.set(binary.version, binary);
  }
  return [...found.values()].sort((a, b) => compareVersions(a.version, b.version));
}

/** Orders `3.4.23` before `3.5.2` before `3.5.10`. */
export function compareVersions(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

async function candidateFolders(): Promise<string[]> {
  const folders: string[] = [];
  const named = process.env["ETCD_BIN"];
  if (named) folders.push(named, dirname(named));
  folders.push(...(process.env["PATH"] ?? "").split(delimiter));
  const cache = cacheFolder("etcd");
  for (const entry of await readdir(cache).catch(() => [])) {
    folders.push(join(cache, entry), join(cache, entry, "usr", "bin"));
  }
  return folders.filter((folder) => folder !== "");
}

async function readBinary(folder: string): Promise<EtcdBinary | undefined> {
  const etcd = join(folder, "etcd");
  const etcdctl = join(folder, "etcdctl");
  try {
    for (const program of [etcd, etcdctl]) await access(program, constants.X_OK);
    const { stdout } = await execute(etcd, ["--version"]);
    const version = /^etcd Version: (\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
    return version === undefined ? undefined : { version, etcd, etcdctl };
  } catch {
    return undefined; // not there, or not for this machine: the next candidate may be
  }
}
