import { isIPv4 } from "node:net";

/** What to do with a datagram: answer, ask to come back over TCP (where addresses cannot be forged), or nothing. */
export type RateVerdict = "answer" | "come-by-tcp" | "drop";

export type RateLimitOptions = {
  /** Answers a second to one network (IPv4 /24, IPv6 /56). 0: no limit. */
  readonly perSecond: number;
  readonly nowMs: () => number;
};

/** Networks remembered; with more than this the longest unseen are forgotten, which means their buckets are full again. */
const maxNetworks = 10_000;
/** Every so many-th answer over the rate is a small one instead of none, so that real clients get through by TCP. */
const slip = 2;

type Bucket = { tokens: number; atMs: number; over: number };

/**
 * Response rate limiting: a server that answers every forged question with a larger answer is a weapon. One second's
 * worth of answers may come in a burst. Loopback is not limited.
 */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  judge(address: string): RateVerdict {
    const { perSecond, nowMs } = this.#options;
    if (perSecond === 0 || address.startsWith("127.") || address === "::1") return "answer";
    const bucket = this.#bucketOf(networkOf(address), nowMs());
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return "answer";
    }
    bucket.over += 1;
    return bucket.over % slip === 0 ? "come-by-tcp" : "drop";
  }

  #bucketOf(network: string, nowMs: number): Bucket {
    const { perSecond } = this.#options;
    const bucket = this.#buckets.get(network) ?? { tokens: perSecond, atMs: nowMs, over: 0 };
    bucket.tokens = Math.min(perSecond, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * perSecond);
    bucket.atMs = nowMs;
    this.#buckets.delete(network); // a Map keeps insertion order: put back as the latest
    this.#buckets.set(network, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxNetworks && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}

function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (isIPv4(plain)) return plain.slice(0, plain.lastIndexOf("."));
  const [head = "", tail] = plain.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => "0");
  const groups = [...before, ...zeros, ...after].slice(0, 4).map((group) => group.padStart(4, "0"));
  return groups.join(":").slice(0, -2); // 3 groups and a half are 56 bits
}
