import type { HeaderView } from "@etcd-edge/proto";
import type { EpochTag, HistoryRecord, HistoryStore } from "./ports.ts";

/** Told when the name of a cluster's history is another one. */
export type EpochListener = (change: {
  readonly clusterId: bigint;
  /** Whether all that is known of the history counts no more; else it only has another name now. */
  readonly isReplaced: boolean;
}) => void;

/**
 * What all replicas call the history of a cluster (rule 3). cluster_id does not name it: a restored backup has the same.
 * An epoch is opened by who finds none, or less than was known, and by who sees that a quorum answers with less; all
 * others take it over. Of two that were opened at once the lesser name stays; one that has seen more replacements is
 * believed over one that has seen fewer.
 */
export class Epochs {
  readonly #newId: () => string;
  readonly #stores: readonly HistoryStore[];
  readonly #records = new Map<bigint, HistoryRecord>();
  readonly #settling = new Map<bigint, Promise<void>>();
  readonly #listeners = new Set<EpochListener>();

  /** @param newId makes a name that nobody else makes */
  constructor(newId: () => string, stores: readonly HistoryStore[]) {
    this.#newId = newId;
    this.#stores = stores;
  }

  /** What is known of a cluster's history; nothing before `settle`. */
  recordOf(clusterId: bigint): HistoryRecord | undefined {
    return this.#records.get(clusterId);
  }

  /** All clusters, the one that was settled last behind the others. */
  records(): Iterable<HistoryRecord> {
    return this.#records.values();
  }

  onChange(listener: EpochListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Finds out, once, which history this is: what is remembered elsewhere is compared with a quorum's answer that was asked
   * for after it was learned.
   * @throws what `probe` rejects with
   */
  settle(clusterId: bigint, probe: () => Promise<HeaderView>): Promise<void> {
    if (this.#records.has(clusterId)) return Promise.resolve();
    const under = this.#settling.get(clusterId);
    if (under !== undefined) return under;
    const settling = this.#find(clusterId, probe).finally(() => this.#settling.delete(clusterId));
    this.#settling.set(clusterId, settling);
    return settling;
  }

  /** A quorum has answered. */
  saw({ clusterId, revision, raftTerm }: HeaderView): void {
    const known = this.#records.get(clusterId);
    if (known === undefined || (revision <= known.revision && raftTerm <= known.raftTerm)) return;
    this.#put({
      ...known,
      revision: revision > known.revision ? revision : known.revision,
      raftTerm: raftTerm > known.raftTerm ? raftTerm : known.raftTerm,
    });
  }

  /**
   * A quorum has shown that history was replaced.
   * @param tag the epoch in which that was seen: another one may have been opened for it already
   */
  replaced({ clusterId, revision, raftTerm }: HeaderView, tag: EpochTag | undefined): void {
    const known = this.#records.get(clusterId);
    if (known === undefined || known.epoch.number !== (tag?.number ?? known.epoch.number)) return;
    const epoch = { id: this.#newId(), number: known.epoch.number + 1n };
    this.#put({ clusterId, epoch, revision, raftTerm });
    this.#tell(clusterId, true);
  }

  /** Somebody else has said which history it is. */
  heard(record: HistoryRecord): void {
    const { clusterId, epoch } = record;
    const known = this.#records.get(clusterId);
    if (known === undefined || epoch.id === "" || epoch.number < known.epoch.number) return;
    if (epoch.number > known.epoch.number) {
      this.#put(record);
      this.#tell(clusterId, true);
    } else if (epoch.id < known.epoch.id) {
      this.#put({ ...record, ...highest(record, known) });
      this.#tell(clusterId, false);
    } else if (epoch.id === known.epoch.id) {
      this.#put({ ...known, ...highest(record, known) });
    }
  }

  async #find(clusterId: bigint, probe: () => Promise<HeaderView>): Promise<void> {
    const found = await Promise.all(this.#stores.map((store) => store.load(clusterId)));
    const best = found.reduce(
      (a, b) => (a === undefined || (b !== undefined && isBetter(b, a)) ? b : a),
      undefined,
    );
    const { revision, raftTerm } = await probe();
    const isLess = best !== undefined && (revision < best.revision || raftTerm < best.raftTerm);
    const epoch =
      best === undefined
        ? { id: this.#newId(), number: 0n }
        : isLess
          ? { id: this.#newId(), number: best.epoch.number + 1n }
          : best.epoch;
    this.#put({ clusterId, epoch, revision, raftTerm });
    this.#tell(clusterId, false);
  }

  #put(record: HistoryRecord): void {
    this.#records.delete(record.clusterId);
    this.#records.set(record.clusterId, record);
    for (const store of this.#stores) store.save(record);
  }

  #tell(clusterId: bigint, isReplaced: boolean): void {
    for (const listener of [...this.#listeners]) listener({ clusterId, isReplaced });
  }
}

function isBetter(a: HistoryRecord, b: HistoryRecord): boolean {
  if (a.epoch.number !== b.epoch.number) return a.epoch.number > b.epoch.number;
  return a.epoch.id === b.epoch.id ? a.revision > b.revision : a.epoch.id < b.epoch.id;
}

function highest(a: HistoryRecord, b: HistoryRecord): Pick<HistoryRecord, "revision" | "raftTerm"> {
  return { revision: later(a.revision, b.revision), raftTerm: later(a.raftTerm, b.raftTerm) };
}

function later(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
