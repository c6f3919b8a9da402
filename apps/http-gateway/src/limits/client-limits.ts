import { etcdErrors } from "@etcd-edge/proto";
import { BurstyRateLimiter, type RateLimiterAbstract, RateLimiterRes } from "rate-limiter-flexible";
import { UpstreamError } from "../upstream/upstream.ts";
import type { ClientTraits, FindClient } from "./client-key.ts";

/** Makes one counter of points that are given out in each period. Counters of all replicas, where they share a store. */
export type CreateRateLimiter = (options: {
  readonly keyPrefix: string;
  readonly points: number;
  readonly durationSeconds: number;
}) => RateLimiterAbstract;

export interface ClientLimitsOptions {
  readonly findClient: FindClient;
  readonly createRateLimiter: CreateRateLimiter;
  /** Requests a second; 0 for any number. */
  readonly requestsPerSecond: number;
  /** Requests beyond that at once, now and then. */
  readonly burst: number;
  /** Streams that one client may have open; 0 for any number. */
  readonly maxStreams: number;
  /** A client was refused: for too many requests or too many streams. */
  readonly onRefused: (reason: "rate" | "streams") => void;
  /** The store of the counters failed: nobody is refused for that. */
  readonly onStoreFailed: (error: unknown) => void;
}

/** What one client may ask of the door. */
export interface ClientLimits {
  /** @throws UpstreamError 429 with the time to wait. Resolves at once where there is no limit. */
  admit(request: ClientTraits): Promise<void> | undefined;
  /**
   * Counts a stream until the answer is called.
   * @throws UpstreamError 429 where the client has as many as it may
   */
  openStream(request: ClientTraits): () => void;
}

const noRelease = (): void => {};

export function createClientLimits(options: ClientLimitsOptions): ClientLimits {
  const { findClient, requestsPerSecond, burst, maxStreams, onRefused, onStoreFailed } = options;
  const limiter = requestsPerSecond === 0 ? undefined : createLimiter(options);
  const streams = new Map<string, number>();

  const consume = async (request: ClientTraits): Promise<void> => {
    try {
      await limiter?.consume(findClient(request));
    } catch (reason) {
      if (!(reason instanceof RateLimiterRes)) {
        onStoreFailed(reason);
        return;
      }
      onRefused("rate");
      throw tooMany(Math.max(1, Math.ceil(reason.msBeforeNext / 1000)));
    }
  };
  return {
    admit: (request) => (limiter === undefined ? undefined : consume(request)),
    openStream: (request) => {
      if (maxStreams === 0) return noRelease;
      const client = findClient(request);
      const open = streams.get(client) ?? 0;
      if (open >= maxStreams) {
        onRefused("streams");
        throw tooMany(retryStreamsSeconds);
      }
      streams.set(client, open + 1);
      let isOpen = true;
      return () => {
        if (!isOpen) return;
        isOpen = false;
        const left = (streams.get(client) ?? 1) - 1;
        if (left === 0) streams.delete(client);
        else streams.set(client, left);
      };
    },
  };

  function createLimiter({ createRateLimiter }: ClientLimitsOptions) {
    const steady = createRateLimiter({ keyPrefix: "rate", points: requestsPerSecond, durationSeconds: 1 });
    if (burst === 0) return steady;
    const durationSeconds = Math.max(1, Math.ceil(burst / requestsPerSecond));
    return new BurstyRateLimiter(
      steady,
      createRateLimiter({ keyPrefix: "burst", points: burst, durationSeconds }),
    );
  }
}

/** Nobody knows when a stream ends. */
const retryStreamsSeconds = 5;

function tooMany(retryAfterSeconds: number): UpstreamError {
  const { code, message } = etcdErrors.tooManyRequests;
  return new UpstreamError({ status: code, message, origin: "local", httpStatus: 429, retryAfterSeconds });
}
