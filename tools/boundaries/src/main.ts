import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findViolations, layerOfTags, type WorkspacePackage } from "./layers.ts";

/** The part of a package.json that nx makes its project graph from. */
interface Manifest {
  readonly name: string;
  readonly nx?: { readonly tags?: readonly string[] };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const root = process.cwd();
const packages: WorkspacePackage[] = globSync("{apps,libs,tools}/*/package.json", { cwd: root })
  .filter((file) => existsSync(join(root, file)))
  .map((file) => JSON.parse(readFileSync(join(root, file), "utf8")) as Manifest)
  .map((manifest) => ({
    name: manifest.name,
    layer: layerOfTags(manifest.nx?.tags ?? []),
    dependencies: Object.keys(manifest.dependencies ?? {}),
    devDependencies: Object.keys(manifest.devDependencies ?? {}),
  }));

const problems = findViolations(packages);
for (const problem of problems) console.error(problem);
if (packages.length === 0) console.error("no packages found: run this at the root of the workspace");
process.exitCode = problems.length > 0 || packages.length === 0 ? 1 : 0;
