import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EndpointHealth, type HealthEvent, type HealthPolicy, nextHealth } from "./endpoint-health.ts";

const policy: HealthPolicy = {
  ...{ silencesToEject: 2, minRetryMs: 100, minOutlierRetryMs: 400, maxRetryMs: 1_000, steadyMs: 60_000 },
};
const failing: HealthEvent = { t: "failing", error: "e" };
const silent: HealthEvent = { t: "silent", error: "e" };
const unreachable: HealthEvent = { t: "unreachable", error: "e" };
const alive: HealthEvent = { t: "alive" };
const retryDue: HealthEvent = { t: "retry-due" };

function run(
  events: readonly HealthEvent[],
  start: EndpointHealth = { t: "unknown" },
  nowMs = 0,
): EndpointHealth {
  return events.reduce((state, event) => nextHealth(state, event, policy, { nowMs, random: 1 }), start);
}

describe("nextHealth", () => {
  it.each([
    ["unknown turns healthy by a sign of life", [alive], "healthy"],
    ["unknown is doubted after a silence", [silent], "suspect"],
    ["unknown is ejected when unreachable", [unreachable], "ejected"],
    ["healthy is doubted after a silence", [alive, silent], "suspect"],
    ["healthy is ejected when unreachable", [alive, unreachable], "ejected"],
    ["suspect recovers", [alive, silent, alive], "healthy"],
    ["suspect is ejected by the second silence", [alive, silent, silent], "ejected"],
    ["suspect is ejected when unreachable", [silent, unreachable], "ejected"],
    ["ejected ignores more bad news", [unreachable, unreachable, silent, failing], "ejected"],
    ["healthy is ejected as an outlier", [alive, failing], "ejected"],
    ["what was given to it before does not end the one try", [alive, failing, retryDue, failing], "probing"],
    ["ejected is tried when its wait is over", [unreachable, retryDue], "probing"],
    ["probing recovers", [unreachable, retryDue, alive], "healthy"],
    ["probing is ejected again by one silence", [unreachable, retryDue, silent], "ejected"],
    ["probing is ejected again when unreachable", [unreachable, retryDue, unreachable], "ejected"],
    ["nobody else heeds the end of a wait", [alive, retryDue], "healthy"],
  ] as const)("%s", (_, events, expected) => {
    expect(run(events).t).toBe(expected);
  });

  it("doubles the wait with every ejection in a row, up to the maximum", () => {
    let state = run([unreachable]);
    const waits = [];
    for (let n = 0; n < 6; n += 1) {
      waits.push(state.t === "ejected" ? state.waitMs : 0);
      state = run([retryDue, unreachable], state);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it("keeps an outlier out for longer, doubling up to the maximum", () => {
    const waits: number[] = [];
    let state: EndpointHealth = { t: "unknown" };
    for (let n = 0; n < 4; n += 1) {
      state = run([alive, failing], state);
      if (state.t === "ejected") waits.push(state.waitMs);
      state = run([retryDue], state);
    }
    expect(waits).toEqual([400, 800, 1_000, 1_000]);
  });

  it("remembers ejections of an endpoint that flaps, forgets them after a steady time", () => {
    const back = run([unreachable, retryDue, alive]);
    expect(run([unreachable], back, 1_000)).toMatchObject({ ejections: 2 });
    expect(run([unreachable], back, 60_000)).toMatchObject({ ejections: 1 });
  });

  it("keeps the wait within a quarter below its nominal length and never above the maximum", () => {
    const event = fc.constantFrom(alive, silent, unreachable, retryDue);
    fc.assert(
      fc.property(fc.array(event), fc.double({ min: 0, max: 1, noNaN: true }), (events, random) => {
        let state: EndpointHealth = { t: "unknown" };
        for (const next of events) {
          state = nextHealth(state, next, policy, { nowMs: 5, random });
          if (state.t !== "ejected") continue;
          const nominal = Math.min(1_000, 100 * 2 ** (state.ejections - 1));
          expect(state.waitMs).toBeGreaterThanOrEqual(nominal * 0.75 - 1);
          expect(state.waitMs).toBeLessThanOrEqual(nominal);
          expect(state.retryAtMs).toBe(5 + state.waitMs);
        }
      }),
    );
  });
});
