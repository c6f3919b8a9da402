import { setTimeout as delay } from "node:timers/promises";
import type { RoundControls } from "../driver/run-round.ts";
import type { Stack } from "../stack/start-stack.ts";
import type { Unit } from "../stack/unit.ts";
import type { Fault } from "./fault.ts";

type Pick = (stack: Stack) => readonly Unit[];

const replicasOf: Pick = (stack) => [...stack.tiers.flat(), ...stack.http];
const membersOf: Pick = (stack) => stack.members;

const needsTier = (stack: Stack): string | undefined =>
  replicasOf(stack).length === 0 ? "there is no tier in front of etcd" : undefined;

function one({ random }: RoundControls, units: readonly Unit[]): Unit {
  return random.pick(units);
}

function killing(pick: Pick, what: string): Fault {
  return {
    summary: `kill -9 of ${what}, and a start a moment later`,
    run: async (stack, controls) => {
      const unit = one(controls, pick(stack));
      await unit.kill();
      await delay(controls.random.between(100, 1_500));
      await unit.start();
    },
  };
}

function stopping(pick: Pick, what: string): Fault {
  return {
    summary: `SIGSTOP of ${what} for some seconds: its sockets stay, and nobody answers`,
    run: async (stack, controls) => {
      const unit = one(controls, pick(stack));
      await unit.stop();
      await delay(controls.random.between(500, 4_000));
      unit.resume();
    },
  };
}

function restarting(pick: Pick, what: string): Fault {
  return {
    summary: `gentle end of ${what}, and a start behind it`,
    run: async (stack, controls) => {
      const unit = one(controls, pick(stack));
      await unit.end();
      await unit.start();
    },
  };
}

/** What can happen to processes. */
export const processFaults = {
  "kill-replica": { ...killing(replicasOf, "a replica of a tier"), impossible: needsTier },
  "stop-replica": { ...stopping(replicasOf, "a replica of a tier"), impossible: needsTier },
  "restart-replica": { ...restarting(replicasOf, "a replica of a tier"), impossible: needsTier },
  "rolling-restart": {
    summary: "every replica of every tier ends gently and starts again, one behind the other",
    impossible: needsTier,
    run: async (stack: Stack) => {
      for (const unit of replicasOf(stack)) {
        await unit.end();
        await unit.start();
      }
    },
  },
  "kill-member": killing(membersOf, "an etcd member"),
  "stop-member": stopping(membersOf, "an etcd member"),
} as const satisfies Record<string, Fault>;
