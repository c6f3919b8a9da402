import { statSync } from "node:fs";

/**
 * Tells whether files are others than when it was last asked: by inode, size and times, through symbolic links, so that
 * a rename over the file and the swapped folder of a Kubernetes secret are seen. A file that cannot be looked at counts
 * as it is: gone is a state, too. Costs some microseconds a file.
 */
export function createChangeCheck(paths: readonly string[]): () => boolean {
  let known = paths.map(stampOf).join();
  return () => {
    const seen = paths.map(stampOf).join();
    if (seen === known) return false;
    known = seen;
    return true;
  };
}

function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}/${ino}/${size}/${mtimeNs}/${ctimeNs}`;
  } catch {
    return "unreadable";
  }
}
