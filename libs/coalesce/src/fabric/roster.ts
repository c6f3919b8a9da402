import type { Presence } from "@etcd-edge/proto";
import { type EpochMemory, type EpochRecord, isPreferred, union } from "../epoch/epoch-record.ts";
import type { Clock, Timer } from "../ports.ts";

/** A replica, as it describes itself. */
export interface Replica {
  readonly id: string;
  /** For people: its host, mostly. */
  readonly name: string;
  readonly tier: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly isDraining: boolean;
  /** What it says of its history; nothing before it knows one. */
  readonly record: EpochRecord | undefined;
  /** Everything below this is compacted. */
  readonly compactRevision: bigint;
  /** Counts for status pages, by name. */
  readonly stats: ReadonlyMap<string, number>;
}

/** A replica that was not heard for so long is gone. */
const lifetimeMs = 3_500;
/** How long others are given to answer a new replica. */
const answerMs = 200;
/** More are not remembered: whoever can publish could make up names without end. */
const maxReplicas = 1_000;
const maxStats = 64;

/**
 * The other replicas that live, by what they say of themselves once a second. Remembers epochs for those who have
 * just started.
 */
export class Roster implements EpochMemory {
  readonly #clock: Clock;
  readonly #replicas = new Map<string, { readonly replica: Replica; readonly expiry: Timer }>();
  readonly #onGone: (id: string) => void;
  /** Since when answers to our question may have come. */
  #askedAt: number | undefined = undefined;

  constructor(clock: Clock, onGone: (id: string) => void) {
    this.#clock = clock;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#replicas.size;
  }

  *replicas(): IterableIterator<Replica> {
    for (const { replica } of this.#replicas.values()) yield replica;
  }

  find(id: string): Replica | undefined {
    return this.#replicas.get(id)?.replica;
  }

  /**
   * Everything below this is compacted, as other replicas were told by etcd of a history; 0 where they were told nothing. More
   * than a quorum has ever said is no compaction, whoever says it (rule 37).
   */
  compactRevisionOf(ours: EpochRecord | undefined): bigint {
    let floor = 0n;
    for (const { record, compactRevision } of this.replicas()) {
      const isOurs = record?.clusterId === ours?.clusterId && record?.epoch.id === ours?.epoch.id;
      const isTrue = ours !== undefined && isOurs && compactRevision <= ours.revision;
      if (isTrue && compactRevision > floor) floor = compactRevision;
    }
    return floor;
  }

  /** Everybody was asked to say that they are there. */
  asked(): void {
    this.#askedAt ??= this.#clock.nowMs();
  }

  /** A replica says that it is there. */
  heard(id: string, record: EpochRecord | undefined, message: Presence): void {
    const known = this.#replicas.get(id);
    known?.expiry.stop();
    if (message.isLeaving) {
      this.#forget(id);
      return;
    }
    if (known === undefined && this.#replicas.size >= maxReplicas) return;
    const expiry = this.#clock.setTimer(lifetimeMs, () => this.#forget(id));
    this.#replicas.set(id, { replica: describe(id, record, message), expiry });
  }

  async load(clusterId: bigint): Promise<EpochRecord | undefined> {
    const known = this.#best(clusterId);
    const waitMs = (this.#askedAt ?? this.#clock.nowMs()) + answerMs - this.#clock.nowMs();
    if (known !== undefined || waitMs <= 0) return known;
    await new Promise<void>((resolve) => this.#clock.setTimer(waitMs, resolve));
    return this.#best(clusterId);
  }

  /** Presence tells it. */
  save(): void {}

  /** Who was heard before our own process stood still may be alive: everybody gets another lifetime. */
  forgive(): void {
    for (const [id, { replica, expiry }] of this.#replicas) {
      expiry.stop();
      this.#replicas.set(id, {
        replica,
        expiry: this.#clock.setTimer(lifetimeMs, () => this.#forget(id)),
      });
    }
  }

  close(): void {
    for (const { expiry } of this.#replicas.values()) expiry.stop();
    this.#replicas.clear();
  }

  #best(clusterId: bigint): EpochRecord | undefined {
    let best: EpochRecord | undefined;
    for (const { record } of this.replicas()) {
      if (record?.clusterId !== clusterId) continue;
      if (best === undefined || isPreferred(record, best)) best = record;
      else if (record.epoch.id === best.epoch.id) best = union(best, record);
    }
    return best;
  }

  #forget(id: string): void {
    if (this.#replicas.delete(id)) this.#onGone(id);
  }
}

function describe(id: string, record: EpochRecord | undefined, message: Presence): Replica {
  const stats = message.stats.slice(0, maxStats).map(({ name, value }) => [name, Number(value)] as const);
  return {
    id,
    name: message.name,
    tier: message.tier,
    version: message.programVersion,
    uptimeSeconds: Number(message.uptimeSeconds),
    isDraining: message.isDraining,
    record,
    compactRevision: message.compactRevision,
    stats: new Map(stats),
  };
}
