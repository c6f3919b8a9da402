import type { HeaderView } from "@etcd-edge/proto";
import type { Epochs } from "../epoch/epochs.ts";
import type { Clock } from "../ports.ts";
import type { KeyRange } from "../range/key-range.ts";
import { History, type HistoryMark, type HistoryVerdict } from "./history.ts";
import { ProbeError, ProbeFlight, type SendProbe } from "./probe-flight.ts";

const askAgainMs = 250;
const smallestKey: KeyRange = { t: "point", key: Uint8Array.of(0) };

/** What a judge is made of. */
export interface QuorumJudgeOptions {
  readonly clock: Clock;
  readonly sendProbe: SendProbe;
  readonly epochs: Epochs | undefined;
  /** Who answers and how far it is, asked of any member: takes no permission. */
  readonly readHeader: () => Promise<HeaderView>;
  /** A range that is watched, and so may be read with the credential of the scope; nothing where nothing is. */
  readonly anyRange: () => KeyRange | undefined;
  /** A quorum is this far, in the history that is known. */
  readonly onQuorum: (revision: bigint) => void;
  /** What was known counts no more; a quorum of the new history is this far. */
  readonly onReplaced: (revision: bigint) => void;
}

/**
 * What quorums say, asked for and compared with what is known (rules 3, 32). The end of a history is seen here, and told to the
 * rest of the process; or it was seen elsewhere, perhaps where we never could have (the new history can be past what we know):
 *
 *     current ──a quorum has less──▶ current, as another history
 *     current ──others have seen that it is gone──▶ outdated ──any quorum answers──▶ current, as another history
 */
export class QuorumJudge {
  readonly history: History;
  readonly #options: QuorumJudgeOptions;
  readonly #probes: ProbeFlight;
  readonly #stopListening: (() => void) | undefined;
  #lastHeader: HeaderView = { clusterId: 0n, memberId: 0n, revision: 0n, raftTerm: 0n };
  #isOutdated = false;
  #isClosed = false;

  constructor(options: QuorumJudgeOptions) {
    this.#options = options;
    this.history = new History(options.clock);
    this.#probes = new ProbeFlight(options.sendProbe);
    this.#stopListening = options.epochs?.onChange(({ t, clusterId, by }) => {
      const isOurs = t === "replaced" && clusterId === this.history.clusterId && by !== this;
      if (isOurs) void this.#startAnew();
    });
  }

  /** Of the last quorum that answered. All zero before the first. */
  get lastHeader(): HeaderView {
    return this.#lastHeader;
  }

  /**
   * Asks a quorum for the revision of the store, and whether the range may be read.
   * @throws ProbeError
   */
  async probe(range: KeyRange): Promise<HeaderView> {
    // Taken late on purpose: a probe that waits for the one in the air is sent after this, never before.
    const { mark } = this.history;
    const header = await this.#probes.probe(range);
    const verdict = this.judge(header, mark);
    if (verdict === "foreign") throw new ProbeError(14, "the endpoint belongs to another cluster");
    return header;
  }

  /** @param sent `history.mark` at the moment the quorum was asked */
  judge(header: HeaderView, sent: HistoryMark): HistoryVerdict {
    const { clusterId: before } = this.history;
    const verdict = this.history.judge(header, sent);
    if (verdict === "foreign") return verdict;
    const { epochs, onQuorum } = this.#options;
    if (verdict === "replaced") {
      // Else it was somebody else who told us; or it is another cluster, whose own history has not been replaced: others may have
      // served it for some time.
      const isNews = !this.#isOutdated && this.history.clusterId === before;
      this.#replaced(header);
      if (isNews) epochs?.replaced(header, this);
    }
    epochs?.saw(header);
    this.#lastHeader = header;
    onQuorum(header.revision);
    return verdict;
  }

  /** The known cluster is gone for good, as whoever looks at all endpoints found (rule 32): its successor is looked for. */
  expectAnother(): void {
    const { clusterId } = this.history;
    this.history.expectAnother();
    if (clusterId !== undefined) void this.#findSuccessor(clusterId);
  }

  close(): void {
    this.#isClosed = true;
    this.#stopListening?.();
  }

  /**
   * A quorum is asked, and a member who it is, which takes no permission: to a token of the cluster that is gone the new one may
   * say nothing at all, for etcd waits until it is as far as such a token says.
   */
  async #findSuccessor(gone: bigint): Promise<void> {
    while (!this.#isClosed && this.history.clusterId === gone) {
      const range = this.#options.anyRange();
      if (range === undefined) return;
      this.probe(range).catch(() => undefined);
      const header = await this.#options.readHeader().catch(() => undefined);
      if (this.history.clusterId !== gone) return;
      if (header !== undefined && header.clusterId !== 0n && header.clusterId !== gone) {
        this.judge(header, this.history.mark);
        return;
      }
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimer(askAgainMs, resolve));
  }

  #replaced({ revision }: HeaderView): void {
    this.#isOutdated = false;
    this.#options.onReplaced(revision);
  }

  async #startAnew(): Promise<void> {
    if (this.#isOutdated) return; // asked for already
    this.#isOutdated = true;
    for (;;) {
      try {
        const header = await this.#probes.probe(this.#options.anyRange() ?? smallestKey);
        if (this.#isClosed || !this.#isOutdated) return;
        this.history.replaceWith(header);
        this.#replaced(header);
        return;
      } catch {
        // Nobody says how far the new history is: watches cannot be told where to go on, and hear nothing until then.
        await this.#pause();
        if (this.#isClosed || !this.#isOutdated) return;
      }
    }
  }
}
