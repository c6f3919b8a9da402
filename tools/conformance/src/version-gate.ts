/**
 * Whether a version is at or past a change that was brought back to older release lines: `{ 3.4: 25, 3.5: 8 }` is true
 * for 3.4.25, 3.5.8 and everything from 3.6.0 on.
 */
export function isAtLeast(version: string, since: Readonly<Record<string, number>>): boolean {
  const [major = "", minor = "", patch = ""] = version.split(".");
  const needed = since[`${major}.${minor}`];
  if (needed !== undefined) return Number(patch) >= needed;
  const lines = Object.keys(since).map((line) => Number(line.split(".")[1]));
  return Number(minor) > Math.max(...lines);
}
