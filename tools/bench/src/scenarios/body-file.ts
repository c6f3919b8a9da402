import { Buffer } from "node:buffer";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Puts a gRPC message with its prefix into a file for as long as `use` runs. */
export async function withBodyFile<T>(body: Uint8Array, use: (file: string) => Promise<T>): Promise<T> {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return await withFile(Buffer.concat([prefix, body]), use);
}

/** Puts bytes into a file for as long as `use` runs. */
export async function withFile<T>(
  content: string | Uint8Array,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-bench-"));
  try {
    const file = join(folder, "body.bin");
    await writeFile(file, content);
    return await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}
