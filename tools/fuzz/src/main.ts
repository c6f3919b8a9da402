import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

/*
 * `npm run fuzz -- [--seconds 60] [--package libs/proto] [--target txn] [--seed 1] [--keep]`
 * Runs the fuzzers of every package that has some (`test/fuzz/main.ts`), one package after the other, the seconds shared
 * among them. An input that fails is added to that package's corpus, so that its tests fail until it is mended.
 */
const root = join(import.meta.dirname, "..", "..", "..");
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    package: { type: "string" },
    target: { type: "string" },
    seed: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});

async function findPackages(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ["libs", "apps"]) {
    for (const name of (await readdir(join(root, folder))).sort()) {
      const path = `${folder}/${name}`;
      const hasFuzzers = await access(join(root, path, "test", "fuzz", "main.ts")).then(
        () => true,
        () => false,
      );
      if (hasFuzzers && (values.package === undefined || values.package === path)) found.push(path);
    }
  }
  return found;
}

const packages = await findPackages();
if (packages.length === 0) {
  process.stderr.write("no package with fuzzers of that name\n");
  process.exitCode = 1;
}
for (const path of packages) {
  const args = [`--seconds=${Number(values.seconds) / packages.length}`];
  if (values.target !== undefined) args.push(`--target=${values.target}`);
  if (values.seed !== undefined) args.push(`--seed=${values.seed}`);
  if (values.keep) args.push("--keep");
  process.stdout.write(`${path}\n`);
  const child = spawn(process.execPath, [join(root, path, "test", "fuzz", "main.ts"), ...args], {
    stdio: "inherit",
  });
  const [code] = await once(child, "close");
  if (code !== 0) process.exitCode = 1;
}
