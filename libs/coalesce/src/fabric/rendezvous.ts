import type { Digest } from "./ports.ts";

/**
 * Rendezvous hashing (Thaler and Ravishankar, 1996): everybody who knows the same replicas puts them in the same order
 * for a feed, and one more or less moves only the feeds that it wins or had.
 *
 * @returns the replicas, best first
 */
export function rankReplicas(digest: Digest, feed: string, replicas: Iterable<string>): string[] {
  return [...new Set(replicas)]
    .map((replica) => ({ replica, weight: digest(`${feed}/${replica}`) }))
    .sort((a, b) => (a.weight === b.weight ? compare(a.replica, b.replica) : compare(b.weight, a.weight)))
    .map(({ replica }) => replica);
}

/** Whether `a` comes before `b` for a feed. */
export function outranks(digest: Digest, feed: string, a: string, b: string): boolean {
  return rankReplicas(digest, feed, [a, b])[0] === a && a !== b;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
