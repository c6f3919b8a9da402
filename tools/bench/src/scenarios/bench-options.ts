/** How long and how often. */
export interface BenchOptions {
  /** Of each measurement. */
  readonly seconds: number;
  readonly rounds: number;
  /** Version of etcd, or the beginning of one. Default: the newest there is. */
  readonly etcd?: string | undefined;
}
