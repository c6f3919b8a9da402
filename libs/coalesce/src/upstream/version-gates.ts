/**
 * What can be trusted of an etcd by its version: the table of gates. A version that nobody told counts as the oldest.
 *
 * | gate                 | sound from             | why                                                              |
 * | -------------------- | ---------------------- | ---------------------------------------------------------------- |
 * | readOnlyTxn          | 3.4.23, 3.5.7, 3.6.0   | rule 14: older ones panic, or raise the NOSPACE alarm             |
 * | requestedProgress    | 3.4.31, 3.5.13, 3.6.0  | rule 4: older ones claim revisions they have lost                 |
 * | startAtCompact       | 3.4.36, 3.5.18, 3.6.0  | rule 5: older ones leave out a DELETE at the compacted revision   |
 * | refusesNegativeStart | 3.4.38, 3.5.24, 3.6.6  | a start below 0 is answered as compacted instead of being taken   |
 */
export interface VersionGates {
  /** Whether the etcd was asked and has answered, or cannot. */
  readonly isKnown: boolean;
  readonly readOnlyTxn: boolean;
  readonly requestedProgress: boolean;
  readonly startAtCompact: boolean;
  readonly refusesNegativeStart: boolean;
}

type Gate = Exclude<keyof VersionGates, "isKnown">;

const soundFrom: Readonly<Record<Gate, readonly string[]>> = {
  readOnlyTxn: ["3.4.23", "3.5.7", "3.6.0"],
  requestedProgress: ["3.4.31", "3.5.13", "3.6.0"],
  startAtCompact: ["3.4.36", "3.5.18", "3.6.0"],
  refusesNegativeStart: ["3.4.38", "3.5.24", "3.6.6"],
};

/** The gates of an etcd that has not said its version yet: all closed. */
export const unknownGates: VersionGates = {
  isKnown: false,
  readOnlyTxn: false,
  requestedProgress: false,
  startAtCompact: false,
  refusesNegativeStart: false,
};

/** The gates of an etcd that does not say its version: those of the oldest. */
export const oldestGates: VersionGates = { ...unknownGates, isKnown: true };

/**
 * The gates of an etcd that refuses Status for want of a permission. Releases that check it (seen: 3.5.30, 3.6.16, 3.7.3)
 * are later than every fix in the table; earlier ones (seen: 3.4.23) answer anybody.
 */
export const gatesOfStatusRefusal: VersionGates = {
  isKnown: true,
  readOnlyTxn: true,
  requestedProgress: true,
  startAtCompact: true,
  refusesNegativeStart: true,
};

/** @param version as Status says it, `3.5.30`; a suffix (`-rc.1`) does not count */
export function gatesOf(version: string): VersionGates {
  const parsed = parseVersion(version);
  if (parsed === undefined) return oldestGates;
  const isOpen = (gate: Gate): boolean => isAtLeast(parsed, soundFrom[gate]);
  return {
    isKnown: true,
    readOnlyTxn: isOpen("readOnlyTxn"),
    requestedProgress: isOpen("requestedProgress"),
    startAtCompact: isOpen("startAtCompact"),
    refusesNegativeStart: isOpen("refusesNegativeStart"),
  };
}

interface Version {
  readonly minor: number;
  readonly patch: number;
}

/** All in the table are of major version 3; a later major is later than all of them. */
function parseVersion(text: string): Version | undefined {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || Number(major) < 3) return undefined;
  return { minor: Number(major) > 3 ? Number.POSITIVE_INFINITY : Number(minor), patch: Number(patch) };
}

/** Each minor line got its fix by itself; lines after the last in the list have it from their beginning. */
function isAtLeast(version: Version, fixes: readonly string[]): boolean {
  let newest = -1;
  for (const fix of fixes) {
    const { minor, patch } = parseVersion(fix) ?? { minor: 0, patch: 0 };
    if (version.minor === minor) return version.patch >= patch;
    newest = Math.max(newest, minor);
  }
  return version.minor > newest;
}
