import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireProgram } from "../binaries/test-programs.ts";
import { type RunningProgram, startProgram } from "./child-process.ts";

/** A Redis that keeps nothing on disk. */
export interface RunningRedis extends AsyncDisposable {
  readonly program: RunningProgram;
}

/**
 * Starts a Redis on loopback and waits until it takes connections.
 * @param args more of its options, as on its command line
 */
export async function startRedis(port: number, args: readonly string[] = []): Promise<RunningRedis> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-redis-"));
  // One binary under many names: what it is called decides what it does.
  const path = join(folder, "redis-server");
  await symlink(await requireProgram("redis-check-rdb"), path);
  const own = [
    "--bind",
    "127.0.0.1",
    "--port",
    String(port),
    "--save",
    "",
    "--appendonly",
    "no",
    "--dir",
    folder,
  ];
  const program = startProgram(path, [...own, ...args]);
  await program.waitForLine("Ready to accept connections");
  return {
    program,
    [Symbol.asyncDispose]: async () => {
      await program[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
