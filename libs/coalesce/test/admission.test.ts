import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Admission, type TurnedAway } from "../src/admission/admission.ts";
import { FakeClock } from "./fake-clock.ts";

interface Seen {
  readonly name: string;
  outcome: "working" | TurnedAway | undefined;
  leave: () => void;
}

function world(limits: { concurrent: number; queue: number }) {
  const clock = new FakeClock();
  const admission = new Admission<string>({ ...limits, maxWaitMs: 1_000 }, clock);
  const started: string[] = [];
  const enter = (client: string, name: string = client): Seen => {
    const seen: Seen = { name, outcome: undefined, leave: () => {} };
    seen.leave = admission.enter({
      client,
      start: () => {
        seen.outcome = "working";
        started.push(name);
      },
      turnAway: (why) => {
        seen.outcome = why;
      },
    });
    return seen;
  };
  return { clock, admission, started, enter };
}

describe("admission", () => {
  it("starts at once what is within the bound", () => {
    const { enter, admission } = world({ concurrent: 2, queue: 1 });
    expect([enter("a").outcome, enter("a").outcome, enter("a").outcome]).toEqual([
      "working",
      "working",
      undefined,
    ]);
    expect([admission.working, admission.waiting]).toEqual([2, 1]);
  });

  it("lets clients take turns, whoever has more", () => {
    const { enter, started } = world({ concurrent: 1, queue: 100 });
    let working = enter("busy", "busy 0");
    const line = [1, 2, 3].map((i) => enter("busy", `busy ${i}`));
    const others = [enter("x"), enter("y")];
    for (const next of [line[0], others[0], others[1], line[1], line[2]]) {
      working.leave();
      expect(next?.outcome).toBe("working");
      working = next as Seen;
    }
    expect(started).toEqual(["busy 0", "busy 1", "x", "y", "busy 2", "busy 3"]);
  });

  it("takes the last of the longest line when too many wait", () => {
    const { enter } = world({ concurrent: 1, queue: 2 });
    enter("busy");
    const [first, second] = [enter("busy"), enter("busy")];
    const other = enter("other");
    expect([first.outcome, second.outcome, other.outcome]).toEqual([undefined, "full", undefined]);
    expect(enter("other").outcome).toBe("full");
  });

  it("lets nobody wait for longer than it may", async () => {
    const { enter, clock, admission } = world({ concurrent: 1, queue: 2 });
    enter("a");
    const late = enter("a");
    await clock.advance(999);
    expect(late.outcome).toBeUndefined();
    await clock.advance(1);
    expect(late.outcome).toBe("late");
    expect([admission.waiting, admission.turnedAway, clock.pending]).toEqual([0, 1, 0]);
  });

  it("turns everything over the bound away where nothing may wait", () => {
    const { enter } = world({ concurrent: 1, queue: 0 });
    expect([enter("a").outcome, enter("b").outcome]).toEqual(["working", "full"]);
  });

  it("never has more than it may, forgets nobody, and is empty in the end", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ client: fc.constantFrom("a", "b", "c"), leaves: fc.option(fc.nat({ max: 50 })) }),
        ),
        (steps) => {
          const { enter, admission } = world({ concurrent: 3, queue: 5 });
          const all: Seen[] = [];
          for (const { client, leaves } of steps) {
            all.push(enter(client));
            if (leaves !== null) all[leaves % all.length]?.leave();
            expect(admission.working).toBeLessThanOrEqual(3);
            expect(admission.waiting).toBeLessThanOrEqual(5);
            expect(admission.waiting === 0 || admission.working === 3).toBe(true);
          }
          for (let i = 0; i < 2; i++) for (const one of all) one.leave();
          expect([admission.working, admission.waiting]).toEqual([0, 0]);
        },
      ),
    );
  });
});
