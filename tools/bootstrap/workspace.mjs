// Makes a fresh clone runnable, with nothing but Node 20 and npm: plain JavaScript, no dependency.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const binFolder = join(root, "node_modules", ".bin");
const pinnedNode = join(binFolder, "node");
const stamp = join(root, "node_modules", ".etcd-edge-lock");

/** Installs npm packages where they are missing or not those of package-lock.json, and checks the pinned Node. */
export function ensureWorkspace() {
  const major = Number(process.versions.node.split(".", 1)[0]);
  if (major < 20) fail(`Node ${process.versions.node} is too old: install Node 20 or newer`);
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const present = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";
  if (present !== wanted || !existsSync(pinnedNode)) {
    process.stderr.write("installing npm packages (about half a minute) …\n");
    if (!installPackages()) fail("npm ci failed; its own words are above");
    writeFileSync(stamp, wanted);
  }
  ensurePinnedNodeRuns();
}

/** A download that stalls is not given up by npm: what has come is in its cache the next time. */
function installPackages() {
  for (let attempt = 1; attempt <= 3; attempt++) {
    const { status, error } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      timeout: 300_000,
      killSignal: "SIGKILL",
    });
    if (status === 0) return true;
    if (error?.code !== "ETIMEDOUT") return false;
    process.stderr.write("npm ci did not get on for five minutes, once more …\n");
  }
  return false;
}

function ensurePinnedNodeRuns() {
  if (spawnSync(pinnedNode, ["--version"]).status === 0) return;
  const isRoot = process.getuid?.() === 0;
  if (isRoot && spawnSync("apt-get", ["--version"]).status === 0) {
    process.stderr.write("installing libatomic1, which Node 26 needs …\n");
    spawnSync("apt-get", ["-qq", "update"], { stdio: "ignore" });
    spawnSync("apt-get", ["-qq", "install", "-y", "--no-install-recommends", "libatomic1"], {
      stdio: "ignore",
    });
    if (spawnSync(pinnedNode, ["--version"]).status === 0) return;
  }
  const { stderr, error } = spawnSync(pinnedNode, ["--version"], { encoding: "utf8" });
  fail(
    `the pinned Node does not run here (apt-get install libatomic1 mends it on Debian and Ubuntu): ${error ?? stderr}`,
  );
}

/**
 * Runs a program with the pinned Node first on its PATH and our streams. SIGINT reaches the child by itself (same
 * process group); SIGTERM is passed on, also when only npm got it. Resolves with its exit code.
 */
export function run(program, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: "inherit",
      env: {
        // Compiled code is kept between starts: halves the start time of every process of ours.
        NODE_COMPILE_CACHE: join(root, ".cache", "node"),
        ...process.env,
        ...env,
        PATH: binFolder + delimiter + (process.env.PATH ?? ""),
      },
    });
    process.on("SIGINT", () => {});
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    // npm hands SIGTERM to its shell, which dies of it and tells nobody: notice that our parent is gone.
    const parent = process.ppid;
    const orphaned = setInterval(() => {
      if (process.ppid !== parent) child.kill("SIGTERM");
    }, 250);
    child.once("error", (error) => fail(`cannot run ${program}: ${error.message}`));
    child.once("close", (code, signal) => {
      clearInterval(orphaned);
      resolve(code ?? (signal === null ? 1 : 130));
    });
  });
}

/** Runs a TypeScript file of this repository with the pinned Node. */
export function runPinned(file, args = [], env = {}) {
  return run(pinnedNode, [join(root, file), ...args], env);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
