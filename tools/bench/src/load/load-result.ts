/** What a load generator did. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
}
