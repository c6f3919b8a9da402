import { setTimeout as delay } from "node:timers/promises";
import type { RoundControls } from "../driver/run-round.ts";
import { flushRedis } from "../stack/server-units.ts";
import type { Stack } from "../stack/start-stack.ts";
import type { Fault } from "./fault.ts";

const needsRedis = (stack: Stack): string | undefined =>
  stack.redis === undefined ? "replicas leave each other no answers; needs --redis" : undefined;

/** What can happen to where replicas leave each other answers. */
export const redisFaults = {
  "kill-redis": {
    summary: "kill -9 of Redis, which forgets all, and a start some seconds later",
    impossible: needsRedis,
    run: async ({ redis }: Stack, { random }: RoundControls) => {
      await redis?.server.kill();
      await delay(random.between(100, 6_000));
      await redis?.server.start();
    },
  },
  "stop-redis": {
    summary: "SIGSTOP of Redis for some seconds",
    impossible: needsRedis,
    run: async ({ redis }: Stack, { random }: RoundControls) => {
      await redis?.server.stop();
      await delay(random.between(500, 5_000));
      redis?.server.resume();
    },
  },
  "cut-redis": {
    summary: "every connection of a replica to Redis is reset",
    impossible: needsRedis,
    run: ({ redis }: Stack) => {
      redis?.relay.cut();
      return Promise.resolve();
    },
  },
  "flush-redis": {
    summary: "Redis forgets all it has, and with it which history that was",
    impossible: needsRedis,
    run: async ({ redis }: Stack) => {
      if (redis !== undefined) await flushRedis(redis.server);
    },
  },
} as const satisfies Record<string, Fault>;
