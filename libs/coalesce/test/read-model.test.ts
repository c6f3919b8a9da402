import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settle } from "./fake-clock.ts";
import { bytes } from "./scripted-hub.ts";
import { type Caller, type InTheAir, ScriptedReads } from "./scripted-reads.ts";

// Random interleavings of callers, writes and whatever can become of requests, against the one thing that a linearizable
// read promises: its answer is no older than the read. Members answer with the oldest that they may: the store as it was when
// the request was sent.

type Step =
  | { readonly t: "read"; readonly key: number; readonly credential: number; readonly isWide: boolean }
  | { readonly t: "write" }
  | { readonly t: "leave"; readonly which: number }
  | { readonly t: "land"; readonly which: number; readonly how: How }
  | { readonly t: "wait" }
  | { readonly t: "members"; readonly count: number; readonly takesTxn: boolean };

type How = "answer" | "refuse" | "refuseAll" | "tooMany" | "unsent" | "lost" | "late";

const index = fc.nat({ max: 99 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      t: fc.constant("read" as const),
      key: fc.nat({ max: 5 }),
      credential: fc.nat({ max: 1 }),
      isWide: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ t: "write" as const }) },
  { weight: 1, arbitrary: fc.constant({ t: "wait" as const }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("leave" as const), which: index }) },
  {
    weight: 5,
    arbitrary: fc.record({
      t: fc.constant("land" as const),
      which: index,
      how: fc.constantFrom<How>(
        "answer",
        "answer",
        "answer",
        "refuse",
        "refuseAll",
        "tooMany",
        "unsent",
        "lost",
        "late",
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      t: fc.constant("members" as const),
      count: fc.nat({ max: 3 }),
      takesTxn: fc.boolean(),
    }),
  },
);

interface Reading {
  readonly caller: Caller;
  readonly key: string;
  readonly atRevision: bigint;
  hasLeft: boolean;
}

function land(flying: InTheAir, how: How): void {
  const failure = { code: 14, message: how };
  switch (how) {
    case "answer":
      flying.answer(flying.sentAt);
      break;
    case "refuse":
      flying.refuse(7, "etcdserver: permission denied");
      break;
    case "refuseAll":
      flying.refuse(16, "etcdserver: invalid auth token");
      break;
    case "tooMany":
      flying.refuse(3, "etcdserver: too many operations in txn request");
      break;
    default:
      flying.end({ t: how, failure });
  }
}

/** Plays the steps, then lets everything land. */
async function play(steps: readonly Step[]): Promise<Reading[]> {
  const world = new ScriptedReads({ limits: { maxOps: 4 } });
  const readings: Reading[] = [];
  const check = (): void => {
    for (const { caller, key, atRevision, hasLeft } of readings) {
      if (hasLeft) expect(caller.result).toBeUndefined();
      if (caller.result?.t !== "answered") continue;
      const { header, kvs } = caller.response();
      expect(header?.revision).toBeGreaterThanOrEqual(atRevision);
      expect(Buffer.from(kvs[0]?.value ?? []).toString()).toBe(`${key}@${header?.revision}`);
    }
  };
  for (const one of steps) {
    switch (one.t) {
      case "read": {
        const key = `k${one.key}`;
        const scope = { credential: one.credential === 0 ? undefined : "token", hasLeader: false };
        const range = one.isWide ? { rangeEnd: bytes("z") } : {};
        const caller = world.read({ key: bytes(key), ...range }, { scope });
        readings.push({ caller, key, atRevision: world.revision, hasLeft: false });
        break;
      }
      case "write":
        world.revision++;
        break;
      case "wait":
        await world.clock.advance(20);
        break;
      case "leave": {
        const reading = readings[one.which % Math.max(1, readings.length)];
        if (reading === undefined || reading.caller.result !== undefined) break;
        reading.hasLeft = true;
        reading.caller.leave();
        break;
      }
      case "land": {
        const flying = world.air[one.which % Math.max(1, world.air.length)];
        if (flying !== undefined) land(flying, one.how);
        break;
      }
      case "members":
        world.members = ["m1", "m2", "m3"].slice(0, one.count);
        world.takesTxn = one.takesTxn;
        break;
      default:
        one satisfies never;
    }
    await settle();
    check();
  }
  world.members = ["m1"];
  for (let i = 0; i < 1_000 && world.air.length > 0; i++) {
    world.revision++;
    world.first.answer(world.first.sentAt);
    await settle();
  }
  check();
  expect(world.air).toEqual([]);
  return readings;
}

describe("shared reads", () => {
  it("are linearizable, and every one is settled once or left", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        for (const { caller, hasLeft } of await play(steps)) {
          if (hasLeft) expect(caller.result).toBeUndefined();
          else expect(caller.result).toBeDefined();
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
