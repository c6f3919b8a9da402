import type { HeaderView } from "@etcd-edge/proto";
import type { Clock } from "../ports.ts";

/** What an answer of a quorum means for what we know. */
export type HistoryVerdict =
  | "same"
  /** From another cluster, which is not believed yet; or, asked for before history was replaced, perhaps from the one before. */
  | "foreign"
  /** The history we knew is gone: a backup was restored, or another cluster is at the addresses now. */
  | "replaced";

/** How far a history was known to be at some moment, such as when a quorum was asked. */
export interface HistoryMark {
  readonly revision: bigint;
  /** Which of the histories that were seen it was. */
  readonly epoch: number;
}

/** How long nobody of the known cluster may answer before another one is taken for it (rule 32). */
const foreignMs = 30_000;
/** For how long quorums have to answer with a lower term than one did before (rule 3). */
const lowerTermMs = 5_000;

/**
 * Which history the revisions belong to. A restored backup has the same cluster id, so that alone does not say it: a
 * quorum that answers with less than we knew when it was asked does (rule 3). A single member with less is only behind.
 */
export class History {
  readonly #clock: Clock;
  #clusterId: bigint | undefined = undefined;
  #known = 0n;
  #foreignSince: number | undefined = undefined;
  /** The highest raft term that a quorum has answered with. */
  #raftTerm = 0n;
  #lowerTermSince: number | undefined = undefined;
  /** Somebody who knows all endpoints says that the known cluster is gone: another one is believed at once. */
  #isGone = false;
  #epoch = 0;
  /** Whose the history before was. */
  #gone: bigint | undefined = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The highest revision that was seen. */
  get known(): bigint {
    return this.#known;
  }

  get clusterId(): bigint | undefined {
    return this.#clusterId;
  }

  /** How far it is known to be, to be compared with what a quorum says that is asked now. */
  get mark(): HistoryMark {
    return { revision: this.#known, epoch: this.#epoch };
  }

  /** Counts the histories seen, from 0. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The known cluster is gone for good, as whoever looks at all endpoints found (rule 32). */
  expectAnother(): void {
    this.#isGone = this.#clusterId !== undefined;
  }

  /** A revision that is known to be committed. */
  saw(revision: bigint): void {
    if (revision > this.#known) this.#known = revision;
  }

  /**
   * Takes the answer to a quorum probe.
   * @param sent `mark` at the moment the probe was sent, or before. One of another history says nothing of this one: the first of
   *   several answers has replaced that, and the others must not do it again
   */
  judge(header: HeaderView, sent: HistoryMark): HistoryVerdict {
    const { clusterId, revision } = header;
    if (this.#clusterId !== undefined && clusterId !== 0n && clusterId !== this.#clusterId) {
      this.#foreignSince ??= this.#clock.nowMs();
      if (!this.#isGone && this.#clock.nowMs() - this.#foreignSince < foreignMs) return "foreign";
      return this.#replace(header);
    }
    this.#foreignSince = undefined;
    if (clusterId !== 0n) this.#clusterId = clusterId;
    const isOfNow = sent.epoch === this.#epoch;
    if (!isOfNow && (clusterId === 0n || clusterId === this.#gone)) return "foreign";
    const isLess = isOfNow && revision < sent.revision;
    if (isLess || this.#hasLowerTerm(header)) return this.#replace(header);
    this.saw(revision);
    return "same";
  }

  /** Terms only grow: one that stays lower, whoever of the members answers, is that of another history. */
  #hasLowerTerm({ raftTerm }: HeaderView): boolean {
    if (raftTerm >= this.#raftTerm) {
      this.#raftTerm = raftTerm;
      this.#lowerTermSince = undefined;
      return false;
    }
    this.#lowerTermSince ??= this.#clock.nowMs();
    return this.#clock.nowMs() - this.#lowerTermSince >= lowerTermMs;
  }

  /** Somebody else knows that history was replaced; `header` is what a quorum says since. */
  replaceWith(header: HeaderView): void {
    this.#replace(header);
  }

  #replace({ clusterId, revision, raftTerm }: HeaderView): "replaced" {
    this.#raftTerm = raftTerm;
    this.#lowerTermSince = undefined;
    this.#gone = this.#clusterId;
    this.#clusterId = clusterId === 0n ? this.#clusterId : clusterId;
    this.#known = revision;
    this.#foreignSince = undefined;
    this.#isGone = false;
    this.#epoch++;
    return "replaced";
  }
}
