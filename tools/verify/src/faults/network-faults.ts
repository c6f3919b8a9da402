import { setTimeout as delay } from "node:timers/promises";
import type { FaultRelay, RelayWeather } from "@etcd-edge/testkit";
import type { RoundControls } from "../driver/run-round.ts";
import type { Stack } from "../stack/start-stack.ts";
import type { Fault } from "./fault.ts";

/** One hop, or all connections of one side of the door. */
function someRelays(stack: Stack, { random }: RoundControls): readonly FaultRelay[] {
  const side = random.pick([[...stack.outerRelays, ...stack.httpRelays], stack.innerRelays]);
  return random.chance(60) ? [random.pick(side)] : side;
}

function weather(summary: string, lastsMs: readonly [number, number], next: RelayWeather): Fault {
  return {
    summary,
    run: async (stack, controls) => {
      const relays = someRelays(stack, controls);
      for (const relay of relays) relay.setWeather(next);
      await delay(controls.random.between(...lastsMs));
      for (const relay of relays) relay.setWeather({});
    },
  };
}

/** What can happen to the bytes between two processes. */
export const networkFaults = {
  cut: {
    summary: "every connection of a hop is reset",
    run: (stack: Stack, controls: RoundControls) => {
      for (const relay of someRelays(stack, controls)) relay.cut();
      return Promise.resolve();
    },
  },
  delay: weather("bytes of a hop take up to 300 ms longer", [500, 3_000], { delayMs: [20, 300] }),
  partition: weather("nothing passes a hop for some seconds, and then all of it does", [500, 5_000], {
    isPartitioned: true,
  }),
  drop: damaged("chunks of bytes of a hop are lost", { dropPercent: 3 }),
  duplicate: damaged("chunks of bytes of a hop come twice", { duplicatePercent: 3 }),
  reorder: damaged("chunks of bytes of a hop change places", { reorderPercent: 3 }),
} as const satisfies Record<string, Fault>;

/**
 * Damage, and then the end of every connection that it may have reached. Only where hops are encrypted: of a plain
 * HTTP/2 connection a chunk may be a whole frame, and that it is missing or there twice nobody could notice.
 */
function damaged(summary: string, next: RelayWeather): Fault {
  return {
    summary: `${summary}: TCP never does so, and connections must end by it, not events; needs --tls`,
    impossible: (stack) => (stack.options.tls ? undefined : "hops are not encrypted"),
    run: async (stack, controls) => {
      const relays = someRelays(stack, controls);
      for (const relay of relays) relay.setWeather(next);
      await delay(controls.random.between(200, 1_000));
      for (const relay of relays) {
        relay.setWeather({});
        relay.cut();
      }
    },
  };
}
