import { type EpochRecord, maxEpochNames } from "./epoch-record.ts";

/** Of what is written; other formats are none of ours (rule 37). */
const formatVersion = 1;
const maxRecordBytes = 4_000;
const maxNameLength = 64;

/** A record as it stands in the shared store: JSON of one-byte letters. */
export function encodeEpochRecord(record: EpochRecord): Uint8Array {
  const { epoch, revision, raftTerm, aliases, replaced } = record;
  const text = JSON.stringify({
    ...{ v: formatVersion, epoch: epoch.id, number: String(epoch.number) },
    ...{ revision: String(revision), term: String(raftTerm), aliases, replaced },
  });
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** @returns nothing for what is no record: it comes from outside */
export function decodeEpochRecord(bytes: Uint8Array | undefined, clusterId: bigint): EpochRecord | undefined {
  if (bytes === undefined || bytes.length > maxRecordBytes) return undefined;
  try {
    const read = JSON.parse(String.fromCharCode(...bytes)) as Readonly<Record<string, unknown>> | null;
    if (read?.["v"] !== formatVersion) return undefined;
    const { epoch: id, number, revision, term, aliases, replaced } = read;
    if (!isEpochName(id) || !isNumber(number) || !isNumber(revision) || !isNumber(term)) return undefined;
    if (!areEpochNames(aliases) || !areEpochNames(replaced)) return undefined;
    const epoch = { id, number: BigInt(number) };
    return { clusterId, epoch, revision: BigInt(revision), raftTerm: BigInt(term), aliases, replaced };
  } catch {
    return undefined; // not ours
  }
}

/** Names become parts of channels and keys. */
export function isEpochName(text: unknown): text is string {
  return typeof text === "string" && text.length <= maxNameLength && /^[A-Za-z0-9-]+$/.test(text);
}

/** As many as are remembered. */
export function areEpochNames(list: unknown): list is readonly string[] {
  return Array.isArray(list) && list.length <= maxEpochNames && list.every(isEpochName);
}

function isNumber(text: unknown): text is string {
  return typeof text === "string" && /^\d{1,19}$/.test(text);
}
