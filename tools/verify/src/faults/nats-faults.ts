import { setTimeout as delay } from "node:timers/promises";
import type { RelayWeather } from "@etcd-edge/testkit";
import type { RoundControls } from "../driver/run-round.ts";
import type { Stack } from "../stack/start-stack.ts";
import type { Fault } from "./fault.ts";

const needsNats = (stack: Stack): string | undefined =>
  stack.nats === undefined ? "replicas share nothing; needs --nats" : undefined;

function frames(summary: string, weather: RelayWeather): Fault {
  return {
    summary: `${summary}, of those that replicas send each other; needs --nats`,
    impossible: needsNats,
    run: async ({ nats }, { random }) => {
      nats?.relay.setWeather(weather);
      await delay(random.between(1_000, 5_000));
      nats?.relay.setWeather({});
    },
  };
}

/** What can happen to what replicas share. */
export const natsFaults = {
  "kill-nats": {
    summary: "kill -9 of the NATS server, and a start some seconds later",
    impossible: needsNats,
    run: async ({ nats }: Stack, { random }: RoundControls) => {
      await nats?.server.kill();
      await delay(random.between(100, 6_000));
      await nats?.server.start();
    },
  },
  "stop-nats": {
    summary: "SIGSTOP of the NATS server for some seconds",
    impossible: needsNats,
    run: async ({ nats }: Stack, { random }: RoundControls) => {
      await nats?.server.stop();
      await delay(random.between(500, 5_000));
      nats?.server.resume();
    },
  },
  "cut-nats": {
    summary: "every connection of a replica to NATS is reset",
    impossible: needsNats,
    run: ({ nats }: Stack) => {
      nats?.relay.cut();
      return Promise.resolve();
    },
  },
  "lose-frames": frames("5 % of the frames of events are lost", { dropPercent: 5 }),
  "repeat-frames": frames("5 % of the frames of events come twice", { duplicatePercent: 5 }),
  "mix-frames": frames("5 % of the frames of events come behind the next one", { reorderPercent: 5 }),
} as const satisfies Record<string, Fault>;
