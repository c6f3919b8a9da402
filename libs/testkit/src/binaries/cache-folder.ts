import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where downloaded and built programs for tests are kept, shared by all clones of this user:
 * `$XDG_CACHE_HOME/etcd-edge`, or `~/.cache/etcd-edge`.
 */
export function cacheFolder(...parts: readonly string[]): string {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "etcd-edge", ...parts);
}
