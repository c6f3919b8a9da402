/** One package of a package-lock.json (version 3), as far as we look at it. */
export interface LockedPackage {
  readonly version?: string;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export type LockedPackages = Readonly<Record<string, LockedPackage>>;

const cpus: readonly string[] = ["arm64", "x64", "ia32", "ppc64", "riscv64", "s390x", "arm"];
const systems: readonly string[] = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];

/**
 * Binaries for other platforms that a lock file lacks. A registry mirror that does not carry them makes npm leave them out
 * without a word, and then `npm ci` refuses the lock everywhere. What is added has no checksum: npm takes whatever
 * the registry of that platform's user gives for the exact version.
 * @returns only the additions, by their place
 * @throws Error for a package whose name does not tell its platform, or whose version is a range
 */
export function findMissingPackages(packages: LockedPackages): LockedPackages {
  const missing: Record<string, LockedPackage> = {};
  for (const [place, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const nested = `${place === "" ? "" : `${place}/`}node_modules/${name}`;
      const hoisted = `node_modules/${name}`;
      if (packages[nested] !== undefined || packages[hoisted] !== undefined) continue;
      missing[hoisted] = describePackage(name, version);
    }
  }
  return missing;
}

function describePackage(name: string, version: string): LockedPackage {
  const words = name.split(/[/-]/);
  const os = systems.find((one) => words.includes(one));
  const cpu = cpus.find((one) =>
    words.some((word) => word === one || (one === "arm" && word.startsWith("armv"))),
  );
  if (os === undefined || cpu === undefined) throw new Error(`cannot tell the platform of ${name}`);
  if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${name} is locked to a range: ${version}`);
  const isMusl = words.some((word) => word.startsWith("musl"));
  return { version, cpu: [cpu], optional: true, os: [os], ...(isMusl ? { libc: ["musl"] } : {}) };
}
