import { cacheFolder } from "./cache-folder.ts";
import { dropAptState, isDebian, unpackDebianPackages } from "./debian-archive.ts";
import { type EtcdBinary, findEtcdBinaries } from "./etcd-binaries.ts";

const packages = ["etcd-server", "etcd-client"];

/** Says what is being installed, one line at a time. */
export type Progress = (line: string) => void;

/**
 * Finds the etcds of this machine, and fetches the distribution's own where there is none. The packages are unpacked
 * into our cache, not installed: no service starts and no root is needed.
 * @throws Error that says what to install, where nothing was found and nothing can be fetched
 */
export async function ensureEtcd(progress: Progress): Promise<readonly EtcdBinary[]> {
  const present = await findEtcdBinaries();
  if (present.length > 0) return present;
  progress("fetching etcd from the distribution's packages …");
  try {
    await unpackDebianPackages({ packages, suite: "installed", into: cacheFolder("etcd", "distribution") });
  } catch (error) {
    throw new Error(
      "etcd is missing: install etcd and etcdctl (Debian and Ubuntu: etcd-server and etcd-client), or set ETCD_BIN to the etcd program",
      { cause: error },
    );
  } finally {
    await dropAptState();
  }
  return await findEtcdBinaries();
}

/**
 * Adds the newest etcd that Debian has, for tests against more than one version. Where it cannot be had that is said
 * and the tests run with what is there.
 */
export async function ensureNewestDebianEtcd(progress: Progress): Promise<void> {
  const present = await findEtcdBinaries();
  const hasNewer = present.some((binary) => !binary.version.startsWith("3.4."));
  if (hasNewer || !(await isDebian())) return;
  progress("fetching a newer etcd from Debian's newest suite …");
  try {
    await unpackDebianPackages({ packages, suite: "sid", into: cacheFolder("etcd", "sid") });
  } catch (error) {
    progress(`no newer etcd: ${error instanceof Error ? error.message.split("\n", 1)[0] : String(error)}`);
  } finally {
    await dropAptState();
  }
}
