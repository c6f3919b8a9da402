import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { DoorProcess } from "./door-process.ts";
import type { FaultFleet } from "./fault-fleet.ts";

/** Something that happens to a fleet. */
export interface Fault {
  readonly name: string;
  /**
   * Settles when it is past: recovery counts from then on.
   * @param excuse whose clients cannot get anything meanwhile
   */
  act(fleet: FaultFleet, excuse: (door: DoorProcess) => void): Promise<void>;
}

/**
 * What a fleet is held to live through.
 *
 * @param range how `/explain/watch` calls the range whose ingester is the victim
 * @param kept counters of a process that go on in the next one
 */
export function fleetFaults(range: string, kept: readonly string[]): readonly Fault[] {
  return [
    { name: "nothing", act: () => delay(10_000) },
    {
      name: "kill -9 of the ingester, started again after 3 s",
      act: async (fleet) => {
        const victim = await fleet.ingester(range);
        await victim.end("SIGKILL", kept);
        await delay(3_000);
        await victim.start();
      },
    },
    {
      name: "the ingester stands still for 5 s",
      act: async (fleet, excuse) => {
        const victim = await fleet.ingester(range);
        excuse(victim);
        victim.signal("SIGSTOP");
        await delay(5_000);
        victim.signal("SIGCONT");
      },
    },
    {
      name: "NATS is started anew",
      act: async (fleet) => {
        await fleet.stopNats();
        await fleet.startNats();
      },
    },
    {
      name: "NATS is away for 60 s",
      act: async (fleet) => {
        await fleet.stopNats();
        await delay(60_000);
        await fleet.startNats();
      },
    },
    ...(["dropPercent", "duplicatePercent", "reorderPercent"] as const).map((what) => ({
      name: `5 % of frames ${{ dropPercent: "lost", duplicatePercent: "twice", reorderPercent: "late" }[what]}, 20 s`,
      act: async (fleet: FaultFleet) => {
        fleet.relay.setWeather({ [what]: 5 });
        await delay(20_000);
        fleet.relay.setWeather({});
      },
    })),
    { name: "Redis is flushed", act: (fleet) => tellRedis(fleet.redisPort, "FLUSHALL") },
    {
      name: "NATS, then Redis away, back in that order",
      act: async (fleet) => {
        await fleet.stopNats();
        await delay(3_000);
        await fleet.stopRedis();
        await delay(3_000);
        await fleet.startNats();
        await delay(3_000);
        await fleet.startRedis();
      },
    },
    {
      name: "Redis, then NATS away, back in that order",
      act: async (fleet) => {
        await fleet.stopRedis();
        await delay(3_000);
        await fleet.stopNats();
        await delay(3_000);
        await fleet.startRedis();
        await delay(3_000);
        await fleet.startNats();
      },
    },
    {
      name: "all replicas restarted by SIGTERM, one by one",
      act: async (fleet) => {
        for (const door of fleet.doors) {
          await door.end("SIGTERM", kept);
          await door.start();
          await delay(2_000);
        }
      },
    },
  ];
}

function tellRedis(port: number, command: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: "127.0.0.1", port }, () => socket.write(`${command}\r\n`));
  socket.on("error", reject);
  socket.once("data", () => {
    socket.destroy();
    resolve();
  });
  return promise;
}
