import type { History } from "./history.ts";

/** One answer to a read through the door. */
export interface SwapAnswer {
  readonly client: number;
  readonly at: number;
  readonly clusterId: bigint;
}

/** What was seen while one cluster took the place of another. Times as in the history. */
export interface SwapRecord {
  /** Of the clients of the door: watches from before and after. */
  readonly history: History;
  /** Every connection to the cluster of before was gone, and new ones reached the other. */
  readonly swappedAt: number;
  readonly before: bigint;
  readonly after: bigint;
  /** Values that were written into the cluster of after begin so, and no others do. */
  readonly mark: string;
  readonly answers: readonly SwapAnswer[];
}
