import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "./cache-folder.ts";

const execute = promisify(execFile);
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Which Debian suite a package comes from: the machine's own, or the newest, by way of a list of its own. */
export type DebianSuite = "installed" | "sid";

/**
 * Downloads Debian packages with `apt-get download` and unpacks them with `dpkg -x` into a folder. Touches nothing of
 * the system and needs no root: package lists and archives live in our cache. The mirror is the machine's own.
 * @throws Error where the machine has no apt, or the mirror does not have the package
 */
export async function unpackDebianPackages(options: {
  packages: readonly string[];
  suite: DebianSuite;
  into: string;
}): Promise<void> {
  const { packages, suite, into } = options;
  const apt = await prepareApt(suite);
  const staging = `${into}.partial-${process.pid}`;
  await mkdir(staging, { recursive: true });
  try {
    await execute("apt-get", [...apt, "-qq", "update"]);
    await execute("apt-get", [...apt, "-qq", "download", ...packages], { cwd: staging });
    for (const name of await readdir(staging)) {
      if (name.endsWith(".deb")) await execute("dpkg", ["-x", join(staging, name), join(staging, "root")]);
    }
    await rm(into, { recursive: true, force: true });
    await rename(join(staging, "root"), into);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Options that give apt a state of its own under our cache. One process at a time: each has its own folder. */
async function prepareApt(suite: DebianSuite): Promise<string[]> {
  const home = cacheFolder("apt", `${suite}-${process.pid}`);
  for (const folder of ["lists/partial", "archives/partial"])
    await mkdir(join(home, folder), { recursive: true });
  const options = [
    ["Dir::State::lists", join(home, "lists")],
    ["Dir::Cache", home],
    ["Dir::Cache::archives", join(home, "archives")],
    ["APT::Sandbox::User", ""],
    ["Acquire::Languages", "none"],
  ];
  if (suite === "sid") {
    const list = join(home, "sources.list");
    await writeFile(list, await sidSource());
    options.push(["Dir::Etc::sourcelist", list], ["Dir::Etc::sourceparts", "-"]);
  }
  return options.flatMap(([key, value]) => ["-o", `${key}=${value}`]);
}

/** A source line for sid on the mirror that the machine's own sources name for Debian's main archive. */
async function sidSource(): Promise<string> {
  const own = await prepareApt("installed");
  await execute("apt-get", [...own, "-qq", "update"]);
  const format = "$(REPO_URI)|$(SUITE)|$(COMPONENT)|$(ORIGIN)";
  const { stdout } = await execute("apt-get", [...own, "indextargets", "--format", format]);
  for (const line of stdout.split("\n")) {
    const [uri, suite, component, origin] = line.split("|");
    const isArchive =
      origin === "Debian" && component === "main" && !/(security|updates|backports)/.test(suite ?? "");
    if (uri !== undefined && isArchive)
      return `deb [signed-by=${debianKeyring}] ${uri.replace(/\/$/, "")} sid main\n`;
  }
  throw new Error("no Debian archive among this machine's apt sources");
}

/** Drops the apt state of this process. */
export async function dropAptState(): Promise<void> {
  for (const suite of ["installed", "sid"]) {
    await rm(cacheFolder("apt", `${suite}-${process.pid}`), { recursive: true, force: true });
  }
}

/** @returns true where this is a Debian (not a derivative), which has sid */
export async function isDebian(): Promise<boolean> {
  try {
    return /^ID="?debian"?$/m.test(await readFile("/etc/os-release", "utf8"));
  } catch {
    return false; // no such file: not a Linux that has apt
  }
}
