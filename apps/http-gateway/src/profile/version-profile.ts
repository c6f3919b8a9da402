import { type JsonProfile, profileV1, profileV1Early, profileV2 } from "./json-profile.ts";

/** The profile of an etcd release as built upstream, e.g. "3.5.30"; nothing for text that is no version. */
export function profileOfVersion(version: string): JsonProfile | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (match === null) return undefined;
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number);
  if (major > 3 || (major === 3 && minor >= 6)) return profileV2;
  const early = major === 3 && (minor < 4 || (minor === 4 && patch < 24));
  return early ? profileV1Early : profileV1;
}
