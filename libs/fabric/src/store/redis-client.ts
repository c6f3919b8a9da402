import { readFile } from "node:fs/promises";
import type { Cluster, Redis } from "ioredis";
import { parseRedisUrl } from "./redis-url.ts";

/** A connection to Redis that makes itself anew for as long as it lives. `quit` or `disconnect` ends it. */
export type RedisClient = Redis | Cluster;

/** How to reach a Redis. */
export interface RedisClientOptions {
  /** See `parseRedisUrl`. */
  readonly url: string;
  /** PEM file names, with `rediss://`. */
  readonly tls?:
    | {
        readonly caFile?: string;
        readonly certFile?: string;
        readonly keyFile?: string;
        /** The server's certificate is taken as it is. */
        readonly isUnverified?: boolean;
      }
    | undefined;
  /** Shown in the server's list of connections. */
  readonly name: string;
  /** Longest time for one command, in milliseconds. Default 1 s. */
  readonly commandTimeoutMs?: number;
}

const connectTimeoutMs = 2_000;
const firstRetryMs = 100;
const longestRetryMs = 5_000;

/**
 * Makes a client that connects in the background. While it is not connected commands fail at once: nothing waits for a Redis that is
 * away. Whoever makes it ends it, and listens to `error` if that is of interest; nobody has to.
 * @throws Error for a URL or files that cannot be read
 */
export async function createRedisClient(options: RedisClientOptions): Promise<RedisClient> {
  const { nodes, isCluster, isTls, username, password, db } = parseRedisUrl(options.url);
  const tls = isTls ? await readTls(options.tls) : undefined;
  const { Cluster: RedisCluster, Redis: SingleRedis } = await import("ioredis");
  const common = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
    connectionName: options.name,
    connectTimeout: connectTimeoutMs,
    commandTimeout: options.commandTimeoutMs ?? 1_000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  };
  const retryAfter = (times: number): number =>
    Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(times, 10));
  const client = isCluster
    ? new RedisCluster([...nodes], {
        redisOptions: common,
        enableOfflineQueue: false,
        clusterRetryStrategy: retryAfter,
        maxRedirections: 3,
      })
    : new SingleRedis({ ...common, ...nodes[0], db, enableOfflineQueue: false, retryStrategy: retryAfter });
  // An error that nobody listens to would end the process.
  client.on("error", () => {});
  return client;
}

async function readTls(files: RedisClientOptions["tls"]) {
  const read = async (file: string | undefined): Promise<Buffer | undefined> =>
    file === undefined ? undefined : await readFile(file);
  const [ca, cert, key] = await Promise.all([
    read(files?.caFile),
    read(files?.certFile),
    read(files?.keyFile),
  ]);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    rejectUnauthorized: files?.isUnverified !== true,
  };
}
