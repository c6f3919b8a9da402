import type { HeaderView } from "@etcd-edge/proto";
import {
  type EpochMemory,
  type EpochRecord,
  isPreferred,
  isReached,
  names,
  pastOf,
  renamed,
  successor,
  union,
} from "./epoch-record.ts";

/** What has become of the name of a cluster's history. */
export interface EpochChange {
  readonly t: /** It has one, or another one for the same history. */
    | "named"
    /** What was known of the history counts no more. */
    | "replaced"
    /** Another cluster is served now (rule 32). */
    | "left";
  readonly clusterId: bigint;
  /** Who has seen it and need not be told. */
  readonly by: unknown;
}

export type EpochListener = (change: EpochChange) => void;

/** What somebody's record of a history means for ours. */
type Relation =
  /** Both are names of one history. */
  | "same"
  /** Theirs has taken the place of ours. */
  | "later"
  /** Ours has taken the place of theirs. */
  | "earlier";

/**
 * What this process calls the history of its cluster (rule 3). cluster_id does not name it: a restored backup has the same.
 * All that outlives an answer of etcd goes by (cluster, epoch): frames of feeds between replicas, entries of a shared store.
 *
 *     nothing known ──settle: what memories remember, compared with a quorum asked after──▶ known
 *     known ──a quorum is less far than before (a hub has seen it, or a memory knows more)──▶ known, as a new one
 *     known ──others have a better name for it, or know that it is gone──▶ known, as theirs
 *     known ──another cluster is served──▶ nothing known
 *
 * Hubs tell it what quorums say and are told when somebody else knows better; memories (other replicas over the bus, the store
 * that replicas share) let all agree: with both, with either, and with none, where the name is nobody else's.
 */
export class Epochs {
  readonly #newId: () => string;
  readonly #memories = new Set<EpochMemory>();
  readonly #records = new Map<bigint, EpochRecord>();
  readonly #settling = new Map<bigint, Promise<void>>();
  readonly #listeners = new Set<EpochListener>();
  #current: bigint | undefined = undefined;
  /** Who serves us, as whoever looks at all endpoints has said. */
  #pinned: bigint | undefined = undefined;

  /** @param newId makes a name that nobody else makes: up to 64 letters, digits and dashes */
  constructor(newId: () => string) {
    this.#newId = newId;
  }

  /** Agrees with what somebody else remembers from now on. @returns the way to stop that */
  remember(memory: EpochMemory): () => void {
    this.#memories.add(memory);
    for (const record of this.#records.values()) memory.save(record);
    return () => void this.#memories.delete(memory);
  }

  /** What is known of a cluster's history; nothing before `settle`. */
  recordOf(clusterId: bigint): EpochRecord | undefined {
    return this.#records.get(clusterId);
  }

  /** Of the cluster that is served. */
  get current(): EpochRecord | undefined {
    const clusterId = this.#pinned ?? this.#current;
    return clusterId === undefined ? undefined : this.#records.get(clusterId);
  }

  /** @returns the way to stop it */
  onChange(listener: EpochListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Finds out which history it is of the cluster that `probe` leads to. Does nothing where nobody answers. */
  async begin(probe: () => Promise<HeaderView>): Promise<void> {
    try {
      const { clusterId } = await probe();
      // Of etcd's own proxy: nobody knows whose history it is.
      if (clusterId !== 0n) await this.settle(clusterId, probe);
    } catch {
      // No quorum, or not for us. Whoever needs it asks again.
    }
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
    this.#put(union(known, { ...known, revision, raftTerm }));
  }

  /**
   * A quorum has shown that history was replaced.
   * @param by who has seen it
   */
  replaced(header: HeaderView, by?: unknown): void {
    const known = this.#records.get(header.clusterId);
    if (known === undefined) return;
    this.#succeed(known, header, known, by);
  }

  /** Somebody says, without a proof, which history it is. */
  heard(record: EpochRecord): void {
    const known = this.#records.get(record.clusterId);
    if (known === undefined || record.epoch.id === "") return;
    // Two who know nothing of each other: who has seen fewer replacements may have slept through one.
    const guess =
      record.epoch.number === known.epoch.number
        ? "same"
        : record.epoch.number > known.epoch.number
          ? "later"
          : "earlier";
    this.#weigh(known, record, guess);
  }

  /**
   * The same, and a quorum was asked after that was learned: it can be told whether their history is gone. Ours is not, for
   * quorums are compared with it all the time; so without a sign that theirs came after ours both are one.
   * @param mayHaveSlept this process has stood still since it last agreed with anybody: then it cannot be told
   */
  met(record: EpochRecord, header: HeaderView, mayHaveSlept = false): void {
    const known = this.#records.get(record.clusterId);
    if (known === undefined || header.clusterId !== record.clusterId || record.epoch.id === "") return;
    const relation = relationOf(known, record);
    const guess = !mayHaveSlept ? "same" : record.epoch.number < known.epoch.number ? "earlier" : "later";
    if (isReached(record, header)) this.#weigh(known, record, guess);
    else if (relation === "later") this.#succeed(record, header, known);
    // A lower term alone says it at the start and after a sleep; else whoever reads all the time sees whether it stays lower.
    else if (relation === "same" && (mayHaveSlept || header.revision < record.revision))
      this.replaced(header);
    else if (relation === undefined) this.#put(outnumber(known, record));
  }

  /** Another cluster has taken the place of the one before (rule 32): nothing that was known of others counts. */
  repinned(clusterId: bigint): void {
    this.#pinned = clusterId;
    for (const before of [...this.#records.keys()]) {
      if (before === clusterId) continue;
      this.#records.delete(before);
      this.#tell("left", before);
    }
  }

  async #find(clusterId: bigint, probe: () => Promise<HeaderView>): Promise<void> {
    const loaded = await Promise.all([...this.#memories].map((memory) => memory.load(clusterId)));
    const found = loaded.filter((record) => record !== undefined);
    const header = await probe();
    if (header.clusterId !== clusterId) throw new Error("another cluster has answered");
    const gone = found.filter((record) => !isReached(record, header));
    const past = names(...gone.map(pastOf));
    const [first, ...others] = found.filter(
      (record) => !gone.includes(record) && !past.includes(record.epoch.id),
    );
    const { revision, raftTerm } = header;
    const opened = { clusterId, revision, raftTerm, aliases: [], replaced: [] };
    let record: EpochRecord = first ?? { ...opened, epoch: { id: this.#newId(), number: 0n } };
    for (const other of others) record = same(record, other);
    // However many of those that are gone were before it.
    const number = gone.reduce(
      (least, { epoch }) => (epoch.number < least ? least : epoch.number + 1n),
      record.epoch.number,
    );
    const epoch = { id: record.epoch.id, number };
    this.#current = clusterId;
    this.#put({ ...union(record, { ...record, ...opened }), epoch, replaced: names(record.replaced, past) });
    this.#tell("named", clusterId);
  }

  /** @param guess what to believe where the names say nothing: acted upon, and not passed on as known */
  #weigh(known: EpochRecord, record: EpochRecord, guess: Relation): void {
    const fact = relationOf(known, record);
    switch (fact ?? guess) {
      case "earlier":
        if (fact !== undefined) this.#put(outnumber(known, record));
        return;
      case "later":
        this.#put(fact === undefined ? record : outnumber(record, known));
        this.#tell("replaced", known.clusterId);
        return;
      case "same": {
        const agreed = same(known, record);
        this.#put(agreed);
        if (agreed.epoch.id !== known.epoch.id) this.#tell("named", known.clusterId);
      }
    }
  }

  /** Opens an epoch for what has come after a history, and after ours. */
  #succeed(gone: EpochRecord, header: HeaderView, known: EpochRecord, by?: unknown): void {
    const next = successor(gone, this.#newId(), header);
    this.#put({ ...next, replaced: names(next.replaced, pastOf(known)) });
    this.#tell("replaced", known.clusterId, by);
  }

  #put(record: EpochRecord): void {
    this.#records.set(record.clusterId, record);
    for (const memory of this.#memories) memory.save(record);
  }

  #tell(t: EpochChange["t"], clusterId: bigint, by?: unknown): void {
    for (const listener of [...this.#listeners]) listener({ t, clusterId, by });
  }
}

/** What the names alone say; nothing where they say nothing. */
function relationOf(known: EpochRecord, record: EpochRecord): Relation | undefined {
  const [ours, theirs] = [known.epoch.id, record.epoch.id];
  if (known.replaced.includes(theirs)) return "earlier";
  if (record.replaced.includes(ours)) return "later";
  if (ours === theirs || record.aliases.includes(ours) || known.aliases.includes(theirs)) return "same";
  return undefined;
}

/** One history has come after another one: its number must show that. */
function outnumber(later: EpochRecord, gone: EpochRecord): EpochRecord {
  const least = gone.epoch.number + 1n;
  const number = later.epoch.number > least ? later.epoch.number : least;
  const replaced = names(later.replaced, pastOf(gone));
  return { ...later, epoch: { id: later.epoch.id, number }, replaced };
}

/** Both are of one history: what is known of it together, by the better name. */
function same(a: EpochRecord, b: EpochRecord): EpochRecord {
  if (a.epoch.id === b.epoch.id) return union(a, b);
  return isPreferred(a, b) ? renamed(a, b) : renamed(b, a);
}
