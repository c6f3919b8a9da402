import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const packageFolder = fileURLToPath(new URL("..", import.meta.url));
const committed = join(packageFolder, "src/gen");
const run = promisify(execFile);

async function readTree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return Object.fromEntries(files.map((file, i) => [file.slice(folder.length + 1), texts[i] ?? ""]));
}

/** The folder npm puts commands into, wherever the workspace root is. */
function commandFolder(): string {
  const manifest = createRequire(import.meta.url).resolve("@bufbuild/protoc-gen-es/package.json");
  return join(dirname(manifest), "../../.bin");
}

it("finds the committed code equal to what the schema generates now", async () => {
  const scratch = await mkdtemp(join(tmpdir(), "etcd-edge-proto-"));
  try {
    const bin = commandFolder();
    await run(join(bin, "buf"), ["generate", "--output", scratch], {
      cwd: packageFolder,
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}` },
    });
    expect(await readTree(join(scratch, "src/gen"))).toEqual(await readTree(committed));
  } finally {
    await rm(scratch, { recursive: true });
  }
});
