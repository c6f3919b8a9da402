import { createRedisClient, parseRedisUrl } from "@etcd-edge/fabric";
import {
  boolOption,
  ConfigError,
  durationOption,
  type Logger,
  type OptionSpec,
  type OptionValues,
  stringOption,
} from "@etcd-edge/runtime";
import { RateLimiterMemory, RateLimiterRedis } from "rate-limiter-flexible";
import type { CreateRateLimiter } from "./client-limits.ts";

/** Rows about where replicas keep the counters of the rate limits. */
export const limitStoreOptions: {
  readonly redisUrl: OptionSpec<"string">;
  readonly redisCacert: OptionSpec<"string">;
  readonly redisCert: OptionSpec<"string">;
  readonly redisKey: OptionSpec<"string">;
  readonly redisInsecureSkipTlsVerify: OptionSpec<"bool">;
  readonly redisTimeout: OptionSpec<"duration">;
  readonly fabricPrefix: OptionSpec<"string">;
} = {
  redisUrl: stringOption({
    flag: "redis-url",
    default: "",
    doc: "Redis in which replicas count together for --rate-limit: redis://, rediss://, redis+cluster:// or rediss+cluster://, with [user]:password@ and /db; without it each replica counts for itself",
    since: "edge",
    check: checkUrl,
  }),
  redisCacert: stringOption({
    flag: "redis-cacert",
    default: "",
    doc: "verify the certificate of Redis with this CA bundle",
    since: "edge",
  }),
  redisCert: stringOption({
    flag: "redis-cert",
    default: "",
    doc: "identify to Redis with this TLS certificate file",
    since: "edge",
  }),
  redisKey: stringOption({
    flag: "redis-key",
    default: "",
    doc: "identify to Redis with this TLS key file",
    since: "edge",
  }),
  redisInsecureSkipTlsVerify: boolOption({
    flag: "redis-insecure-skip-tls-verify",
    default: false,
    doc: "skip verification of the certificate of Redis",
    since: "edge",
  }),
  redisTimeout: durationOption({
    flag: "redis-timeout",
    default: 100,
    doc: "longest time that a request waits for Redis; then this replica counts for itself",
    since: "edge",
    check: (value) =>
      value > 0 ? undefined : 'invalid argument for "--redis-timeout" flag: must be greater than 0',
  }),
  fabricPrefix: stringOption({
    flag: "fabric-prefix",
    default: "etcd-edge",
    doc: "what everything begins with that replicas share: deployments are told apart by it",
    since: "edge",
  }),
};

/** Where the counters are. Disposing lets go of it. */
export interface LimitStore extends Disposable {
  readonly createRateLimiter: CreateRateLimiter;
}

/**
 * Opens the store of the rate limits: this process, or a Redis that all replicas count in. A Redis that is away costs nobody a
 * request: until it is back each replica counts for itself.
 * @throws ConfigError for files that cannot be read
 */
export async function openLimitStore(
  config: OptionValues<typeof limitStoreOptions>,
  logger: Logger,
): Promise<LimitStore> {
  if (config.redisUrl === "") return { createRateLimiter: countHere, [Symbol.dispose]: () => {} };
  const client = await createRedisClient({
    url: config.redisUrl,
    tls: {
      ...(config.redisCacert === "" ? {} : { caFile: config.redisCacert }),
      ...(config.redisCert === "" ? {} : { certFile: config.redisCert }),
      ...(config.redisKey === "" ? {} : { keyFile: config.redisKey }),
      isUnverified: config.redisInsecureSkipTlsVerify,
    },
    name: "etcd-edge-http-gateway",
    commandTimeoutMs: config.redisTimeout,
  }).catch((error: unknown) => {
    throw new ConfigError(`--redis-url: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  });
  client.on("ready", () => logger.info("rate limits are counted in Redis"));
  client.on("close", () => logger.warn("Redis is away: this replica counts rate limits for itself"));
  return {
    createRateLimiter: (options) =>
      new RateLimiterRedis({
        storeClient: client,
        keyPrefix: `${config.fabricPrefix}:http:${options.keyPrefix}`,
        points: options.points,
        duration: options.durationSeconds,
        insuranceLimiter: countHere(options),
        rejectIfRedisNotReady: true,
      }),
    [Symbol.dispose]: () => {
      client.removeAllListeners("close");
      client.disconnect();
    },
  };
}

const countHere: (options: Parameters<CreateRateLimiter>[0]) => RateLimiterMemory = ({
  keyPrefix,
  points,
  durationSeconds: duration,
}) => new RateLimiterMemory({ keyPrefix, points, duration });

function checkUrl(url: string): string | undefined {
  if (url === "") return undefined;
  try {
    parseRedisUrl(url);
    return undefined;
  } catch (error) {
    return `invalid argument for "--redis-url" flag: ${error instanceof Error ? error.message : String(error)}`;
  }
}
