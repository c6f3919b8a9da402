import type { HeaderView } from "@etcd-edge/proto";
import type { GuardedStore } from "../cache/guarded-store.ts";
import type { Clock, Timer } from "../ports.ts";
import { decodeEpochRecord, encodeEpochRecord } from "./epoch-codec.ts";
import type { EpochMemory, EpochRecord } from "./epoch-record.ts";
import type { Epochs } from "./epochs.ts";

/** How often what is written down is compared with what is known. */
const refreshMs = 5_000;
/** The same, while the store has not answered or no epoch is known. */
const retryMs = 500;
/** Who has not compared for so long may have slept through the end of a history: nothing is found by its name until it has. */
const staleMs = 2 * refreshMs;
/** Longer than any entry of that epoch stays. */
const recordTtlMs = 24 * 3_600_000;

/** What it is made of. */
export interface StoredEpochsOptions {
  readonly store: GuardedStore;
  readonly clock: Clock;
  readonly epochs: Epochs;
  /** Asks a quorum. Rejects where there is none. */
  readonly probe: () => Promise<HeaderView>;
}

/**
 * Epochs as the store that replicas share remembers them: each beside the highest revision and term that were seen of it, so
 * that a replica that starts can tell a restored backup from the history before (rule 3). Compared with what is known here
 * every few seconds, with a quorum's answer asked for after it was read wherever the two differ. Disposing stops that.
 */
export class StoredEpochs implements EpochMemory, Disposable {
  readonly #options: StoredEpochsOptions;
  readonly #stops: readonly (() => void)[];
  #timer: Timer | undefined = undefined;
  #isLooking = false;
  #isOver = false;
  /** Whether the store has answered the last time. */
  #hasLooked = false;
  /** When what is known here was last found to be, or made, what stands there. */
  #agreedAt = Number.NEGATIVE_INFINITY;
  /** Whether the process has stood still since. */
  #hasSlept = false;
  /** What we last wrote, or read: who starts with that knows as much. */
  #stands: EpochRecord | undefined = undefined;

  /** Looks at once. */
  constructor(options: StoredEpochsOptions) {
    this.#options = options;
    const { epochs } = options;
    this.#stops = [
      epochs.remember(this),
      epochs.onChange(({ t }) => (t === "left" ? void this.#look() : undefined)),
    ];
    void this.#look();
  }

  async load(clusterId: bigint): Promise<EpochRecord | undefined> {
    const looked = await this.#options.store.lookUp(keyOf(clusterId));
    this.#hasLooked = looked !== undefined;
    const found = decodeEpochRecord(looked?.value, clusterId);
    if (found !== undefined) this.#stands = found;
    return found;
  }

  /**
   * At once where it has another name now; that it is further can wait until somebody looks. Nothing before we have looked: what
   * stands there is not to be lost unread.
   */
  save(record: EpochRecord): void {
    if (!this.#hasLooked) return;
    const { clusterId, epoch } = record;
    const stands = this.#stands;
    const isTold =
      stands?.clusterId === clusterId && stands.epoch.id === epoch.id && stands.epoch.number === epoch.number;
    if (!isTold) this.#write(record);
  }

  /**
   * What the key of an entry of a revision begins with, before it is written: that such a revision was there stands in the
   * store first. Nothing while the epoch is not known.
   */
  prefixToWrite(revision: bigint): string | undefined {
    const { prefix } = this;
    const { current } = this.#options.epochs;
    if (prefix === undefined || current === undefined) return undefined;
    const isNews = this.#stands?.epoch.id !== current.epoch.id || revision > this.#stands.revision;
    if (isNews)
      this.#write({ ...current, revision: revision > current.revision ? revision : current.revision });
    return prefix;
  }

  /** What keys of the present history begin with; nothing while that is not known, or was not confirmed lately. */
  get prefix(): string | undefined {
    const { clock, epochs } = this.#options;
    const { current } = epochs;
    if (current === undefined || clock.nowMs() - this.#agreedAt > staleMs) return undefined;
    return `${current.clusterId.toString(16)}/${current.epoch.id}/`;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.stop();
    for (const stop of this.#stops) stop();
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#isOver) return;
    this.#isLooking = true;
    this.#timer?.stop();
    try {
      await this.#compare();
    } catch {
      // No quorum: what is known stays.
    }
    this.#isLooking = false;
    if (this.#isOver) return;
    const isDone = this.#hasLooked && this.#options.epochs.current !== undefined;
    const { clock } = this.#options;
    const dueAt = clock.nowMs() + (isDone ? refreshMs : retryMs);
    this.#timer = clock.setTimer(dueAt - clock.nowMs(), () => {
      this.#hasSlept ||= clock.nowMs() - dueAt > staleMs;
      void this.#look();
    });
  }

  async #compare(): Promise<void> {
    const { clock, epochs, probe } = this.#options;
    // What is learned is as old as the question, however long we stand still before the answer is read.
    const askedAt = clock.nowMs();
    const known = epochs.current;
    if (known === undefined) await epochs.begin(probe);
    const clusterId = epochs.current?.clusterId;
    if (known === undefined || clusterId !== known.clusterId) {
      if (this.#hasLooked && clusterId !== undefined) this.#agreedAt = askedAt;
      return;
    }
    const found = await this.load(clusterId);
    if (!this.#hasLooked) return;
    const isOfOurs = found?.epoch.id === known.epoch.id;
    if (found !== undefined && isOfOurs && !this.#hasSlept) epochs.heard(found);
    else if (found !== undefined) {
      const header = await probe();
      epochs.met(found, header, this.#hasSlept || clock.nowMs() - askedAt > staleMs);
    }
    const now = epochs.recordOf(clusterId);
    if (now !== undefined && (found === undefined || !isSameRecord(now, found))) this.#write(now);
    this.#agreedAt = askedAt;
    this.#hasSlept = clock.nowMs() - askedAt > staleMs;
  }

  #write(record: EpochRecord): void {
    this.#stands = record;
    this.#options.store.set(keyOf(record.clusterId), encodeEpochRecord(record), recordTtlMs);
  }
}

function keyOf(clusterId: bigint): string {
  return `${clusterId.toString(16)}/history`;
}

function isSameRecord(a: EpochRecord, b: EpochRecord): boolean {
  return (
    a.epoch.id === b.epoch.id &&
    a.epoch.number === b.epoch.number &&
    a.revision === b.revision &&
    a.raftTerm === b.raftTerm &&
    String(a.aliases) === String(b.aliases) &&
    String(a.replaced) === String(b.replaced)
  );
}
