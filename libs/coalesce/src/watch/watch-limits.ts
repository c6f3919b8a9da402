/** How many watches there may be. */
export interface WatchLimits {
  readonly perStream: number;
  readonly perConnection: number;
  readonly total: number;
  /** Creates of one stream that wait for their answer. */
  readonly pendingPerStream: number;
}

/** Counts watches of one client connection, or of the process. */
export interface WatchCount {
  watches: number;
}

/**
 * Whether one more watch is too many.
 * @returns what the client is told, naming the limit; nothing where there is room
 */
export function findLimit(
  limits: WatchLimits,
  counts: {
    readonly stream: number;
    readonly pending: number;
    readonly connection: number;
    readonly total: number;
  },
): string | undefined {
  const rows = [
    [counts.pending, limits.pendingPerStream, "pending watch creates per stream"],
    [counts.stream, limits.perStream, "watches per stream"],
    [counts.connection, limits.perConnection, "watches per connection"],
    [counts.total, limits.total, "watches in all"],
  ] as const;
  for (const [count, limit, name] of rows) {
    if (count >= limit)
      return `rpc error: code = ResourceExhausted desc = etcd-edge: too many ${name} (limit ${limit})`;
  }
  return undefined;
}
