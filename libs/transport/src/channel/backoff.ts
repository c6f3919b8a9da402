/** How long to wait between attempts to connect. */
export interface BackoffOptions {
  /** After the first failure. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** Growth from one failure to the next. */
  readonly factor: number;
  /** Share by which a wait varies either way, so that clients of one server do not come together. */
  readonly jitter: number;
}

/** Quick at first, for an etcd member restarts in about a second. */
export const defaultBackoff: BackoffOptions = { baseMs: 100, maxMs: 5000, factor: 1.6, jitter: 0.2 };

/**
 * Wait after the given number of failures in a row.
 *
 * @param random in [0, 1)
 */
export function backoffMs(options: BackoffOptions, failures: number, random: number): number {
  const wait = Math.min(options.maxMs, options.baseMs * options.factor ** Math.max(0, failures - 1));
  return wait * (1 + options.jitter * (2 * random - 1));
}
