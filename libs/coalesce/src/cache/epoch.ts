import type { HeaderView } from "@etcd-edge/proto";
import type { Clock, Timer } from "../ports.ts";
import type { GuardedStore } from "./guarded-store.ts";

/** How often what is written down is compared with what is known. */
const refreshMs = 5_000;
const retryMs = 500;
/** Longer than any entry of that epoch stays. */
const recordTtlMs = 24 * 3_600_000;

interface EpochRecord {
  readonly v: 1;
  readonly epoch: string;
  readonly revision: string;
  readonly term: string;
}

/** What an epoch keeper is made of. */
export interface EpochOptions {
  readonly store: GuardedStore;
  readonly clock: Clock;
  /** Makes a random id, unique among replicas and times: 8 to 64 letters, digits, `-` and `_`. */
  readonly createId: () => string;
  /** Asks a quorum. Rejects where there is none. */
  readonly probe: () => Promise<HeaderView>;
}

interface Current {
  readonly clusterId: bigint;
  readonly epoch: string;
  /** The highest that stands in the store. */
  revision: bigint;
  term: bigint;
}

/**
 * Tells histories of one cluster apart (rule 3): a restored backup has the same cluster id, so keys of a shared store carry an epoch
 * too, a random id that stands there beside the highest revision and term that were seen. A replica takes it over if a quorum that
 * it asks after reading it is at least as far; it opens a new one where a quorum is not, where nothing stands there, and when it
 * has seen history being replaced itself.
 */
export class EpochKeeper implements Disposable {
  readonly #options: EpochOptions;
  #current: Current | undefined = undefined;
  #timer: Timer | undefined = undefined;
  #isLooking = false;
  #mustRenew = false;
  /** Whether the store has answered the last time. */
  #hasLooked = false;
  #isOver = false;

  /** Looks at once, and every few seconds from then on. */
  constructor(options: EpochOptions) {
    this.#options = options;
    void this.#look();
  }

  /**
   * What the key of an entry of a revision begins with, before it is written: that such a revision was there stands in the
   * store first. Nothing while the epoch is not known.
   */
  prefixToWrite(revision: bigint): string | undefined {
    const current = this.#current;
    if (current !== undefined && revision > current.revision) {
      current.revision = revision;
      this.#write(current);
    }
    return this.prefix;
  }

  /** What keys of the present history begin with; nothing while that is not known. */
  get prefix(): string | undefined {
    const current = this.#current;
    return current === undefined ? undefined : `${current.clusterId.toString(16)}/${current.epoch}/`;
  }

  /** The history we knew is gone. */
  replaced(): void {
    this.#current = undefined;
    this.#mustRenew = true;
    void this.#look();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.stop();
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#isOver) return;
    this.#isLooking = true;
    this.#timer?.stop();
    try {
      await this.#compare();
    } catch {
      // No quorum, no epoch: the one we have stays, and without one the store is not used.
    }
    this.#isLooking = false;
    if (this.#isOver) return;
    const pauseMs = this.#hasLooked ? refreshMs : retryMs;
    this.#timer = this.#options.clock.setTimer(pauseMs, () => void this.#look());
  }

  async #compare(): Promise<void> {
    const { store, probe, createId } = this.#options;
    const mustRenew = this.#mustRenew;
    const clusterId = this.#current?.clusterId ?? (await probe()).clusterId;
    if (clusterId === 0n) return; // of etcd's own proxy: nobody knows whose history it is
    const looked = await store.lookUp(recordKey(clusterId));
    this.#hasLooked = looked !== undefined;
    if (looked === undefined || this.#mustRenew !== mustRenew) return;
    const found = decodeRecord(looked.value);
    if (found !== undefined && found.epoch === this.#current?.epoch) return;
    // Asked after the record was read: less than stands there is another history.
    const header = await probe();
    if (this.#mustRenew !== mustRenew || header.clusterId !== clusterId) return;
    const { revision, raftTerm: term } = header;
    const isOurs =
      !mustRenew && found !== undefined && BigInt(found.revision) <= revision && BigInt(found.term) <= term;
    this.#mustRenew = false;
    this.#current = { clusterId, epoch: isOurs ? found.epoch : createId(), revision, term };
    this.#write(this.#current);
  }

  #write({ clusterId, epoch, revision, term }: Current): void {
    this.#options.store.set(recordKey(clusterId), encodeRecord(epoch, revision, term), recordTtlMs);
  }
}

function recordKey(clusterId: bigint): string {
  return `${clusterId.toString(16)}/epoch`;
}

function encodeRecord(epoch: string, revision: bigint, term: bigint): Uint8Array {
  const record: EpochRecord = { v: 1, epoch, revision: String(revision), term: String(term) };
  return Uint8Array.from(JSON.stringify(record), (letter) => letter.charCodeAt(0));
}

function decodeRecord(bytes: Uint8Array | undefined): EpochRecord | undefined {
  if (bytes === undefined || bytes.length > 1_000) return undefined;
  try {
    const record = JSON.parse(String.fromCharCode(...bytes)) as Partial<EpochRecord> | null;
    if (record?.v !== 1) return undefined;
    const { epoch, revision, term } = record;
    const isNumber = (text: unknown): text is string => typeof text === "string" && /^\d{1,19}$/.test(text);
    if (typeof epoch !== "string" || !/^[\w-]{8,64}$/.test(epoch) || !isNumber(revision) || !isNumber(term))
      return undefined;
    return { v: 1, epoch, revision, term };
  } catch {
    return undefined; // not ours
  }
}
