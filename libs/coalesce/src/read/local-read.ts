import type { HeaderView } from "@etcd-edge/proto";
import type { HistoryMark } from "../watch/history.ts";

/** A place that has all keys of a range, as far as its own revision. */
export interface LocalSource {
  /** Whether reads that ask a quorum may be answered from here, permission included. */
  readonly isUsable: boolean;
  /** The cheapest linearizable RangeRequest that who may read the range may ask. Only its header is wanted. */
  readonly probe: Uint8Array;
  /** The highest revision that is known to be committed. */
  readonly mark: HistoryMark;
  /**
   * Waits until everything up to a quorum's revision is here.
   * @param header of a quorum's answer
   * @param sent `mark` at the moment that was asked
   * @param onDone called once, perhaps at once: whether it is here; false too where it is not for too long
   * @returns how to stop waiting
   */
  cover(header: HeaderView, sent: HistoryMark, onDone: (isCovered: boolean) => void): () => void;
  /** Field 1 of an answer from here, and the revision it shows. */
  head(): Uint8Array;
  readonly revision: bigint;
}

/** A read that a local source can answer. */
export interface LocalRead {
  readonly source: LocalSource;
  /** What follows the header in the answer. Asked only while the source has its range. */
  body(): Uint8Array;
}
