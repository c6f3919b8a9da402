/**
 * Which layer may import which. Dependencies point down:
 *
 *     app → service, runtime → core → wire
 *
 * A service may use another one, as watches use endpoints, but never so that they use each other.
 * Tests may use everything but apps; tools start apps as processes and import none.
 */
const mayImport: Readonly<Record<Layer, readonly Layer[]>> = {
  app: ["service", "runtime", "core", "wire"],
  service: ["service", "runtime", "core", "wire"],
  runtime: ["wire"],
  core: ["wire"],
  wire: [],
  test: ["service", "runtime", "core", "wire"],
  tool: ["tool", "test", "service", "runtime", "core", "wire"],
};

export type Layer = "app" | "service" | "runtime" | "core" | "wire" | "test" | "tool";

/** A workspace package as its manifest describes it. */
export interface WorkspacePackage {
  readonly name: string;
  readonly layer: Layer | undefined;
  readonly dependencies: readonly string[];
  /** What only its tests import. */
  readonly devDependencies: readonly string[];
}

/** Every break of the table, one sentence each. An empty list is what we want. */
export function findViolations(packages: readonly WorkspacePackage[]): string[] {
  const byName = new Map(packages.map((one) => [one.name, one]));
  const problems: string[] = [];
  for (const { name, layer, dependencies, devDependencies } of packages) {
    if (layer === undefined) {
      problems.push(`${name} has no nx tag layer:<${Object.keys(mayImport).join("|")}>`);
      continue;
    }
    const complain = (used: string, allowed: readonly Layer[]): void => {
      const target = byName.get(used)?.layer;
      if (target !== undefined && !allowed.includes(target)) {
        problems.push(`${name} (${layer}) must not import ${used} (${target})`);
      }
    };
    for (const used of dependencies) complain(used, mayImport[layer]);
    for (const used of devDependencies) complain(used, [...mayImport[layer], "test"]);
    if (reaches(byName, name, name)) problems.push(`${name} imports itself by way of others`);
  }
  return problems;
}

/** Whether there is a way from a package to another one over what their code imports. */
function reaches(byName: ReadonlyMap<string, WorkspacePackage>, from: string, to: string): boolean {
  const seen = new Set<string>();
  const open = [from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    for (const used of byName.get(name)?.dependencies ?? []) {
      if (used === to) return true;
      if (!seen.has(used)) open.push(used);
      seen.add(used);
    }
  }
  return false;
}

/** @returns the layer that the tags of a manifest name, if they name one we know */
export function layerOfTags(tags: readonly string[]): Layer | undefined {
  const named = tags.find((tag) => tag.startsWith("layer:"))?.slice("layer:".length);
  return named !== undefined && Object.hasOwn(mayImport, named) ? (named as Layer) : undefined;
}
