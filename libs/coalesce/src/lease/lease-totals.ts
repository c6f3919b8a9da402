/** What the book did since it began. */
export interface LeaseBookTotals {
  /** Renewals that were answered by an answer of etcd's to themselves. */
  own: number;
  /** Renewals that were answered from the answer to an earlier one. */
  shared: number;
  /** Streams that were left because they did not answer in time. */
  stuckStreams: number;
}
