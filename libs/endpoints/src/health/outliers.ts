import type { Clock } from "@etcd-edge/runtime";

/** A row of failures is at least so long: an election fails what is in the air at every member, and is over then. */
const minRowMs = 2_000;

/** What became of the work that was given to one endpoint. */
export interface WorkRecord {
  /** It did what was asked, or said no as one does who could have. */
  succeeded(): void;
  /** It failed. @returns whether the endpoint is an outlier now; one that was stays on probation until it succeeds: one failure is enough then */
  failed(): boolean;
}

/**
 * Finds endpoints that pass every check and fail the work: a member whose own messages do not reach the leader knows one, and
 * reads from its store. Only who fails while another one serves is an outlier: where everybody fails nobody is to blame.
 *
 * A success is evidence against rivals whose row of failures began before it. That is told by the number of rows begun,
 * because successes are many and must cost nothing.
 */
export class Outliers {
  readonly #failuresInRow: number;
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #records = new Set<Rival>();
  #rowsBegun = 0;

  /** @param failuresInRow so many failures without a success between make an outlier; 0: never */
  constructor(failuresInRow: number, clock: Pick<Clock, "nowMs">) {
    this.#failuresInRow = failuresInRow;
    this.#clock = clock;
  }

  /** The record of an endpoint that comes into use. Until `forget`. */
  add(): WorkRecord {
    const record: Rival = {
      inRow: 0,
      isOnProbation: false,
      row: 0,
      beganAtMs: 0,
      servedAt: -1,
      succeeded: () => {
        record.inRow = 0;
        record.isOnProbation = false;
        record.servedAt = this.#rowsBegun;
      },
      failed: () => this.#failed(record),
    };
    this.#records.add(record);
    return record;
  }

  forget(record: WorkRecord): void {
    this.#records.delete(record as Rival); // of ours, or of no effect
  }

  #failed(record: Rival): boolean {
    if (this.#failuresInRow === 0) return false;
    if (!record.isOnProbation && !this.#isRowLong(record)) return false;
    const isAlone = [...this.#records].every((other) => other === record || other.servedAt < record.row);
    if (isAlone) return false;
    record.isOnProbation = true;
    record.inRow = 0;
    record.row = ++this.#rowsBegun; // the next evidence must be of a time after this
    return true;
  }

  #isRowLong(record: Rival): boolean {
    const nowMs = this.#clock.nowMs();
    if (record.inRow === 0) {
      record.row = ++this.#rowsBegun;
      record.beganAtMs = nowMs;
    }
    record.inRow += 1;
    return record.inRow >= this.#failuresInRow && nowMs - record.beganAtMs >= minRowMs;
  }
}

interface Rival extends WorkRecord {
  inRow: number;
  /** It was an outlier, and has not succeeded since. */
  isOnProbation: boolean;
  /** Which row of failures of all this one is. */
  row: number;
  beganAtMs: number;
  /** How many rows had begun at its last success. */
  servedAt: number;
}
