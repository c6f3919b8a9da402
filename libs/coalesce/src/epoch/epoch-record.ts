import type { HeaderView } from "@etcd-edge/proto";

/** Which history of a cluster: a random name, and how many were seen to be replaced before it. */
export interface EpochTag {
  readonly id: string;
  readonly number: bigint;
}

/** What is known of a cluster's present history (rule 3). */
export interface EpochRecord {
  readonly clusterId: bigint;
  readonly epoch: EpochTag;
  /** The highest that a quorum has said. */
  readonly revision: bigint;
  readonly raftTerm: bigint;
  /** Other names that replicas gave this history before they agreed on one; the newest first. */
  readonly aliases: readonly string[];
  /** Names of histories that this one has replaced; the newest first. */
  readonly replaced: readonly string[];
}

/** Where epochs are remembered: other replicas, a store. Losing one costs trust in nothing but old entries. */
export interface EpochMemory {
  /** Nothing where nothing is known, or nobody answers within a moment. Never rejects. */
  load(clusterId: bigint): Promise<EpochRecord | undefined>;
  /** Called for every change of a record. Never throws. */
  save(record: EpochRecord): void;
}

/** More names than this are not remembered of one cluster. */
export const maxEpochNames = 8;

/** Whether a quorum that was asked later is as far as a history was seen to be: if not, that history is gone. */
export function isReached({ revision, raftTerm }: EpochRecord, header: HeaderView): boolean {
  return revision <= header.revision && raftTerm <= header.raftTerm;
}

/** Of two names for one history all keep the one that has seen more replacements, then the lesser one. */
export function isPreferred({ epoch: a }: EpochRecord, { epoch: b }: EpochRecord): boolean {
  return a.number === b.number ? a.id < b.id : a.number > b.number;
}

/** What two who call a history by one name know of it together. */
export function union(a: EpochRecord, b: EpochRecord): EpochRecord {
  return {
    clusterId: a.clusterId,
    epoch: { id: a.epoch.id, number: later(a.epoch.number, b.epoch.number) },
    revision: later(a.revision, b.revision),
    raftTerm: later(a.raftTerm, b.raftTerm),
    aliases: names(a.aliases, b.aliases),
    replaced: names(a.replaced, b.replaced),
  };
}

/** The same history by the better of its two names. */
export function renamed(to: EpochRecord, from: EpochRecord): EpochRecord {
  const aliases = names([from.epoch.id], to.aliases, from.aliases);
  return { ...union(to, from), epoch: to.epoch, aliases };
}

/** The history that a quorum's answer shows to have come after one. */
export function successor(gone: EpochRecord, id: string, { revision, raftTerm }: HeaderView): EpochRecord {
  const { clusterId, epoch } = gone;
  const number = epoch.number + 1n;
  return { clusterId, epoch: { id, number }, revision, raftTerm, aliases: [], replaced: pastOf(gone) };
}

/** All names that stand for what is over, once a history is. */
export function pastOf({ epoch, aliases, replaced }: EpochRecord): readonly string[] {
  return names([epoch.id], aliases, replaced);
}

/** Names of several lists, each once, the first ones if they are many. */
export function names(...lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())].slice(0, maxEpochNames);
}

function later(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
