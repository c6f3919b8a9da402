import { type Epochs, GuardedStore, RemoteAnswers, StoredEpochs } from "@etcd-edge/coalesce";
import { createRedisStore, type RedisStore, type SealedStore, sealStore } from "@etcd-edge/fabric";
import type { HeaderView } from "@etcd-edge/proto";
import { type Clock, ConfigError, type Logger, readPem } from "@etcd-edge/runtime";
import type { CacheConfig } from "./cache-options.ts";

/** The answers that replicas leave each other in Redis. Dispose of it. */
export interface OpenStore extends AsyncDisposable {
  readonly redis: RedisStore;
  readonly guarded: GuardedStore;
  readonly sealed: SealedStore | undefined;
  readonly answers: RemoteAnswers;
}

/** What a store needs. */
export interface StoreContext {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the process calls the histories it knows: the store remembers it. */
  readonly epochs: Epochs;
  /** Asks a quorum. Rejects where there is none. */
  readonly probe: () => Promise<HeaderView>;
}

/**
 * Opens the store of `--redis-url`, which connects in the background: without it everything else goes on.
 * @returns nothing without the flag
 * @throws ConfigError for files that cannot be read
 */
export async function openStore(
  config: CacheConfig & { readonly fabricKeyFile: string; readonly fabricPrefix: string },
  { clock, logger, epochs, probe }: StoreContext,
): Promise<OpenStore | undefined> {
  if (config.redisUrl === "") return undefined;
  const key = config.fabricKeyFile === "" ? undefined : readPem(config.fabricKeyFile);
  if (key?.length === 0) throw new ConfigError(`${config.fabricKeyFile} is empty`);
  for (const file of [config.redisCacert, config.redisCert, config.redisKey]) if (file !== "") readPem(file);
  const redis = await createRedisStore({
    url: config.redisUrl,
    name: "etcd-edge grpc-proxy",
    prefix: config.fabricPrefix,
    tls: {
      ...(config.redisCacert === "" ? {} : { caFile: config.redisCacert }),
      ...(config.redisCert === "" ? {} : { certFile: config.redisCert, keyFile: config.redisKey }),
      isUnverified: config.redisInsecureSkipTlsVerify,
    },
    onState: (state, error) => {
      if (state === "connected") logger.info("connected to Redis");
      else if (state === "connecting")
        logger.warn("not connected to Redis: answers are not shared", { error });
    },
  });
  const sealed = key === undefined ? undefined : sealStore(redis, key);
  const guarded = new GuardedStore(sealed ?? redis, clock, { budgetMs: config.redisTimeout });
  const stored = new StoredEpochs({ store: guarded, clock, epochs, probe });
  const isPrivate = sealed !== undefined || redis.hasPassword || config.redisCert !== "";
  return {
    redis,
    guarded,
    sealed,
    answers: new RemoteAnswers(guarded, stored, isPrivate),
    [Symbol.asyncDispose]: async () => {
      stored[Symbol.dispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}
