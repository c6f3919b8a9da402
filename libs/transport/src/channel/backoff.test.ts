import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs, defaultBackoff } from "./backoff.ts";

describe("backoffMs", () => {
  it.each([
    [1, 100],
    [2, 160],
    [3, 256],
    [20, 5000],
    [1000, 5000],
  ])("waits around %d failures: %d ms", (failures, ms) => {
    expect(backoffMs(defaultBackoff, failures, 0.5)).toBeCloseTo(ms);
  });

  it("varies by the jitter and no more", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, random) => {
          const middle = backoffMs(defaultBackoff, failures, 0.5);
          const wait = backoffMs(defaultBackoff, failures, random);
          expect(Math.abs(wait - middle)).toBeLessThanOrEqual(middle * defaultBackoff.jitter + 1e-9);
        },
      ),
    );
  });
});
