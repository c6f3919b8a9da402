import type { CacheLimits } from "@etcd-edge/coalesce";
import { parseRedisUrl } from "@etcd-edge/fabric";
import { hasOwnIdentity } from "@etcd-edge/identity";
import {
  boolOption,
  ConfigError,
  durationOption,
  type OptionValues,
  stringOption,
  uintOption,
} from "@etcd-edge/runtime";

const edge = { since: "edge" } as const;
const positive =
  (flag: string) =>
  (value: number): string | undefined =>
    value > 0 ? undefined : `--${flag} must be positive`;

/** The flags that are about what is kept of reads, here and in Redis. */
export const cacheOptions = {
  cacheReads: boolOption({
    flag: "cache-reads",
    default: true,
    doc: "answer serializable reads, reads at a revision and reads of ranges that are held here from memory; never across credentials",
    ...edge,
  }),
  cacheMaxAge: durationOption({
    flag: "cache-max-age",
    default: 0,
    doc: "how old an answer to a serializable read may be where no watch keeps its range up to date (0 for none from memory there)",
    ...edge,
    check: (value) => (value >= 0 ? undefined : "--cache-max-age must not be negative"),
  }),
  cacheBytes: uintOption({
    flag: "cache-bytes",
    default: 64 << 20,
    doc: "bytes of answers that are kept in memory",
    ...edge,
  }),
  cacheHeldBytes: uintOption({
    flag: "cache-held-bytes",
    default: 256 << 20,
    doc: "bytes of keys and values of ranges that are read often, and held in memory",
    ...edge,
  }),
  cacheFeeds: uintOption({
    flag: "cache-feeds",
    default: 64,
    doc: "maximum number of ranges that are held because they are read often, with a watch of etcd for each (0 for none)",
    ...edge,
  }),
  cacheFeedBytesPerSecond: uintOption({
    flag: "cache-feed-bytes-per-second",
    default: 512 << 10,
    doc: "a range that changes by more than this, and that no client watches, is not held",
    ...edge,
  }),
  cacheCoverWait: durationOption({
    flag: "cache-cover-wait",
    default: 1_000,
    doc: "longest time a linearizable read waits for a held range to be as far as a quorum before etcd is asked",
    ...edge,
    check: positive("cache-cover-wait"),
  }),
  redisUrl: stringOption({
    flag: "redis-url",
    default: "",
    doc: "Redis in which replicas leave each other answers: redis://, rediss://, redis+cluster:// or rediss+cluster://, with [user]:password@ and /db",
    ...edge,
    check: checkRedisUrl,
  }),
  redisCacert: stringOption({
    flag: "redis-cacert",
    default: "",
    doc: "verify the certificate of Redis with this CA bundle",
    ...edge,
  }),
  redisCert: stringOption({
    flag: "redis-cert",
    default: "",
    doc: "identify to Redis with this TLS certificate file",
    ...edge,
  }),
  redisKey: stringOption({
    flag: "redis-key",
    default: "",
    doc: "identify to Redis with this TLS key file",
    ...edge,
  }),
  redisInsecureSkipTlsVerify: boolOption({
    flag: "redis-insecure-skip-tls-verify",
    default: false,
    doc: "skip verification of the certificate of Redis",
    ...edge,
  }),
  redisTimeout: durationOption({
    flag: "redis-timeout",
    default: 10,
    doc: "longest time a read waits for Redis",
    ...edge,
    check: positive("redis-timeout"),
  }),
  redisTtl: durationOption({
    flag: "redis-ttl",
    default: 3_600_000,
    doc: "how long answers stay in Redis",
    ...edge,
    check: positive("redis-ttl"),
  }),
};

export type CacheConfig = OptionValues<typeof cacheOptions>;

/** What the flags say of the cache's bounds. */
export function toCacheLimits(config: CacheConfig & { readonly authRecheck: number }): Partial<CacheLimits> {
  return {
    feeds: config.cacheFeeds,
    feedBytesPerSecond: config.cacheFeedBytesPerSecond,
    heldBytes: config.cacheHeldBytes,
    answerBytes: config.cacheBytes,
    maxAgeMs: config.cacheMaxAge,
    recheckMs: config.authRecheck,
    coverMs: config.cacheCoverWait,
    storeTtlMs: config.redisTtl,
  };
}

/**
 * Refuses a Redis that anybody can write to where there are users to be told apart (rule 37).
 * @throws ConfigError
 */
export function checkStore(
  config: CacheConfig & { readonly user: string; readonly userCert: string; readonly fabricKeyFile: string },
): void {
  if (config.redisUrl === "") return;
  if ((config.redisCert === "") !== (config.redisKey === ""))
    throw new ConfigError("--redis-cert and --redis-key must be given together");
  const isOpen = parseRedisUrl(config.redisUrl).password === undefined && config.redisCert === "";
  if (hasOwnIdentity(config) && config.fabricKeyFile === "" && isOpen) {
    throw new ConfigError(
      "--redis-url needs a password, or --fabric-key-file, where etcd has users (--user, --user-cert): whoever can write to it could forge answers",
    );
  }
}

function checkRedisUrl(url: string): string | undefined {
  if (url === "") return undefined;
  try {
    parseRedisUrl(url);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
