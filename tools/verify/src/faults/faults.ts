import { setTimeout as delay } from "node:timers/promises";
import type { Disturb, RoundControls } from "../driver/run-round.ts";
import type { Stack } from "../stack/start-stack.ts";
import type { Fault } from "./fault.ts";
import { natsFaults } from "./nats-faults.ts";
import { networkFaults } from "./network-faults.ts";
import { processFaults } from "./process-faults.ts";
import { redisFaults } from "./redis-faults.ts";

/** Every fault by the name that `--faults` takes. */
export const faults = {
  ...processFaults,
  ...networkFaults,
  ...natsFaults,
  ...redisFaults,
  compact: {
    summary: "everything up to the head is compacted, ten times a second",
    run: async (_stack: Stack, controls: RoundControls) => {
      const stop = controls.compactEagerly();
      await delay(controls.random.between(500, 3_000));
      stop();
    },
  },
  "token-expiry": {
    summary: "nobody says anything until every token has been forgotten",
    impossible: (stack: Stack) =>
      stack.options.tokenTtlSeconds === 0 ? "there are no users in this stack" : undefined,
    run: async (stack: Stack, controls: RoundControls) => {
      const resume = controls.hush();
      // etcd forgets tokens a second late at most.
      await delay(stack.options.tokenTtlSeconds * 1000 + 1_500);
      resume();
    },
  },
  "cluster-swap": {
    summary: "another cluster, with a history of its own, is behind the same addresses: between two rounds",
    impossible: (stack: Stack) =>
      stack.options.cluster === undefined ? undefined : "the cluster is not one of verify's own",
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

export function isFault(text: string): text is FaultName {
  return Object.hasOwn(faults, text);
}

/**
 * Disturbs a stack with one fault after the other, drawn from the names, until the traffic of the round is over. Every
 * fault comes to its end, and one of each name is done in its turn before one is done again.
 *
 * @param done told of every fault that was done
 */
export function disturbWith(
  stack: Stack,
  names: readonly FaultName[],
  pauseMs: readonly [number, number],
  done: (name: FaultName) => void,
): Disturb {
  return async (controls) => {
    const { traffic, random, recorder } = controls;
    const meanwhile = names.filter((name) => "run" in faults[name]);
    let turn: FaultName[] = [];
    while (meanwhile.length > 0 && !traffic.aborted) {
      await delay(random.between(...pauseMs), undefined, { signal: traffic }).catch(() => {});
      if (traffic.aborted) return;
      if (turn.length === 0) turn = shuffle([...meanwhile], controls);
      const name = turn.pop();
      if (name === undefined) return;
      const over = recorder.disturb();
      const fault: Fault = faults[name];
      await fault.run?.(stack, controls);
      over();
      done(name);
    }
  };
}

function shuffle(names: FaultName[], { random }: RoundControls): FaultName[] {
  const drawn: FaultName[] = [];
  while (names.length > 0) drawn.push(...names.splice(random.below(names.length), 1));
  return drawn;
}
