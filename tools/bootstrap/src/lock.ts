import { readFile, writeFile } from "node:fs/promises";
import { findMissingPackages, type LockedPackages } from "./complete-lock.ts";

// npm run lock: adds to package-lock.json what a registry mirror made npm leave out.
const file = "package-lock.json";
const lock = JSON.parse(await readFile(file, "utf8")) as { packages: LockedPackages };
const missing = findMissingPackages(lock.packages);
const packages = Object.fromEntries(
  Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
);
await writeFile(file, `${JSON.stringify({ ...lock, packages }, undefined, 2)}\n`);
process.stdout.write(`${Object.keys(missing).length} packages added to ${file}\n`);
