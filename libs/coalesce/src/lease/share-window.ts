/** What is known of a lease from etcd's last answer. */
export interface GrantedTtl {
  /** What etcd granted. */
  readonly ttlSeconds: number;
  /** When the renewal that was answered was sent: etcd's time began no earlier. */
  readonly sentAtMs: number;
}

/** A renewal is shared for this part of its TTL, so that more than 0.8 of it is left whenever it is (rule 12). */
const sharedPart = 1 / 6;

/** How long after it was sent a renewal may answer for others. 0 where it never may. */
function shareWindowMs(ttlSeconds: number, maxWindowMs: number): number {
  return Math.min(maxWindowMs, ttlSeconds * 1000 * sharedPart);
}

/**
 * The TTL for a renewal that came after the one that was sent (rule 12): what is left, rounded down.
 * @returns nothing where the renewal must go to etcd itself
 */
export function sharedTtlSeconds(
  { ttlSeconds, sentAtMs }: GrantedTtl,
  nowMs: number,
  maxWindowMs: number,
): number | undefined {
  const elapsedMs = nowMs - sentAtMs;
  if (elapsedMs < 0 || elapsedMs > shareWindowMs(ttlSeconds, maxWindowMs)) return undefined;
  const left = Math.floor(ttlSeconds - elapsedMs / 1000);
  return left >= 1 ? left : undefined;
}

/**
 * The TTL for a renewal that was there when it was sent: etcd's own answer, less the whole seconds it was on its way.
 * @returns nothing where so much was lost on the way that a live lease would look dead
 */
export function ownTtlSeconds({ ttlSeconds, sentAtMs }: GrantedTtl, nowMs: number): number | undefined {
  const left = ttlSeconds - Math.floor((nowMs - sentAtMs) / 1000);
  return left >= 1 ? left : undefined;
}

/** When the lease ends if nobody renews it again: never before etcd ends it. */
export function expiryMs({ ttlSeconds, sentAtMs }: GrantedTtl): number {
  return sentAtMs + ttlSeconds * 1000;
}

/** Longest silence for a renewal before its stream is held to be stuck: min(1 s, TTL/6). */
export function stuckAfterMs(ttlSeconds: number | undefined): number {
  return ttlSeconds === undefined ? 1_000 : Math.min(1_000, (ttlSeconds * 1000) / 6);
}
