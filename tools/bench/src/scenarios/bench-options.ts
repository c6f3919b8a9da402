/** How long and how often. */
export interface BenchOptions {
  /** Of each measurement. */
  readonly seconds: number;
  readonly rounds: number;
}
