import type { Clock } from "@etcd-edge/runtime";
import { bodyTooSlow } from "../http/body-too-slow.ts";
import type { RequestSource } from "./request-source.ts";

/**
 * Gives up on a client that takes too long over its first request: one byte now and then would hold a connection, and what
 * was read of its body, for ever. The requests of a watch that follow may take any time.
 */
export function withTimeLimit(
  source: RequestSource,
  limit: {
    readonly clock: Clock;
    readonly timeoutMs: number;
    /** Makes the source throw this. */
    readonly giveUp: (error: Error) => void;
  },
): RequestSource {
  const { clock, timeoutMs, giveUp } = limit;
  let isFirst = true;
  return {
    next: async () => {
      if (!isFirst) return await source.next();
      isFirst = false;
      const timer = clock.setTimer(timeoutMs, () => giveUp(bodyTooSlow(timeoutMs)));
      try {
        return await source.next();
      } finally {
        timer.stop();
      }
    },
  };
}
