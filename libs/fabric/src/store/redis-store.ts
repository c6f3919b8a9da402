import { createHash } from "node:crypto";
import type { SharedStore } from "@etcd-edge/coalesce";
import { createRedisClient, type RedisClient, type RedisClientOptions } from "./redis-client.ts";

/** How a store in Redis is doing. */
export type RedisState = "connecting" | "connected" | "closed";

export interface RedisStoreOptions extends RedisClientOptions {
  /** What keys begin with: deployments that share a Redis are told apart by it. */
  readonly prefix: string;
  /** Called after every change of state. */
  readonly onState?: (state: RedisState, error: string | undefined) => void;
}

/** A shared store that can be ended. */
export interface RedisStore extends SharedStore, AsyncDisposable {
  readonly state: RedisState;
  /** Whether Redis asks for a password. */
  readonly hasPassword: boolean;
}

/**
 * The shared store in a Redis, or a Redis cluster. Keys are hashed: credentials and clients' keys are part of them. Disposing ends the
 * connection at once.
 * @throws Error for a URL or files that cannot be read
 */
export async function createRedisStore(options: RedisStoreOptions): Promise<RedisStore> {
  return new StoreInRedis(await createRedisClient(options), options);
}

class StoreInRedis implements RedisStore {
  readonly hasPassword: boolean;
  readonly #client: RedisClient;
  readonly #prefix: string;
  #state: RedisState = "connecting";
  #lastError: string | undefined = undefined;

  constructor(client: RedisClient, { url, prefix, onState }: RedisStoreOptions) {
    this.#client = client;
    this.#prefix = prefix;
    this.hasPassword = /\/\/[^@/]*:[^@/]+@/.test(url);
    const changeTo = (state: RedisState): void => {
      if (this.#state === state || this.#state === "closed") return;
      this.#state = state;
      onState?.(state, state === "connecting" ? this.#lastError : undefined);
    };
    client.on("error", (error: unknown) => {
      this.#lastError = error instanceof Error ? error.message : String(error);
    });
    client.on("ready", () => changeTo("connected"));
    client.on("close", () => changeTo("connecting"));
    client.on("end", () => changeTo("closed"));
  }

  get state(): RedisState {
    return this.#state;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#client.getBuffer(this.#nameOf(key))) ?? undefined;
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    await this.#client.set(this.#nameOf(key), bytes, "PX", Math.max(1, Math.round(ttlMs)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = "closed";
    this.#client.disconnect();
    await Promise.resolve();
  }

  #nameOf(key: string): string {
    return `${this.#prefix}:${createHash("sha256").update(key, "latin1").digest("base64url")}`;
  }
}
