import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "./cache-folder.ts";
import { dropAptState, unpackDebianPackages } from "./debian-archive.ts";
import type { Progress } from "./ensure-etcd.ts";

const execute = promisify(execFile);

interface TestProgram {
  readonly program: string;
  readonly debianPackage: string;
  /**
   * Unpacked: put into our cache, so that no service of it starts on this machine. Installed: has libraries of its own,
   * so apt must do it, which takes root.
   */
  readonly how: "unpacked" | "installed";
}

const programs: readonly TestProgram[] = [
  { program: "nats-server", debianPackage: "nats-server", how: "unpacked" },
  // The Redis server under another name: redis-tools starts no service, the package redis-server does.
  { program: "redis-check-rdb", debianPackage: "redis-tools", how: "installed" },
  { program: "openssl", debianPackage: "openssl", how: "installed" },
  { program: "curl", debianPackage: "curl", how: "installed" },
  { program: "dig", debianPackage: "bind9-dnsutils", how: "installed" },
  { program: "dnsmasq", debianPackage: "dnsmasq-base", how: "installed" },
  { program: "h2load", debianPackage: "nghttp2-client", how: "installed" },
];

/** Python modules of other people's clients and resolvers; they run on the system's own Python. */
const pythonModules: readonly { module: string; debianPackage: string }[] = [
  { module: "etcd3", debianPackage: "python3-etcd3" },
  { module: "etcd3gw", debianPackage: "python3-etcd3gw" },
  { module: "dns.resolver", debianPackage: "python3-dnspython" },
];

const systemPython = "/usr/bin/python3";

/** @returns the absolute path of a program on the PATH, in the system's folders or in our cache */
export async function findProgram(program: string): Promise<string | undefined> {
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/sbin",
    "/sbin",
    cacheFolder("programs", program, "usr", "bin"),
    cacheFolder("programs", program, "usr", "sbin"),
  ];
  for (const folder of folders) {
    const path = join(folder, program);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

/** @throws Error that names what to install where a program that the tests run is missing */
export async function requireProgram(program: string): Promise<string> {
  const path = await findProgram(program);
  if (path !== undefined) return path;
  const row = programs.find((known) => known.program === program);
  throw new Error(`${program} is missing: install ${row?.debianPackage ?? program}`);
}

/**
 * Gets the programs of others that the tests talk to: clients, servers, load generators.
 * @throws Error with the one command that installs what is missing, where we may not
 */
export async function ensureTestPrograms(progress: Progress): Promise<void> {
  const missing: string[] = [];
  for (const { program, debianPackage, how } of programs) {
    if ((await findProgram(program)) !== undefined) continue;
    if (how === "installed") missing.push(debianPackage);
    else await unpack(program, debianPackage, progress);
  }
  for (const { module, debianPackage } of pythonModules) {
    if (!(await succeeds(systemPython, ["-c", `import ${module}`]))) missing.push(debianPackage);
  }
  if (missing.length > 0) await install(missing, progress);
}

async function unpack(program: string, debianPackage: string, progress: Progress): Promise<void> {
  progress(`fetching ${program} …`);
  try {
    await unpackDebianPackages({
      packages: [debianPackage],
      suite: "installed",
      into: cacheFolder("programs", program),
    });
  } catch (error) {
    throw new Error(`${program} is missing: install it (Debian and Ubuntu: ${debianPackage})`, {
      cause: error,
    });
  } finally {
    await dropAptState();
  }
}

async function install(packages: readonly string[], progress: Progress): Promise<void> {
  const command = `apt-get install --no-install-recommends ${packages.join(" ")}`;
  const prefix = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const [first = "apt-get", ...before] = [...prefix, "apt-get"];
  if (!(await succeeds(first, [...before, "--version"]))) {
    throw new Error(`the tests need ${packages.join(", ")}; on Debian and Ubuntu: sudo ${command}`);
  }
  progress(`installing ${packages.join(", ")} …`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await execute(first, [...before, "-qq", "update"], { env });
  const words = ["-qq", "install", "-y", "--no-install-recommends", ...packages];
  await execute(first, [...before, ...words], { env, maxBuffer: 64 << 20 });
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await execute(program, [...args]);
    return true;
  } catch {
    return false; // that is the answer
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false; // that is the answer
  }
}
