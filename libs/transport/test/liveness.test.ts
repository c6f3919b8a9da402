import { describe, expect, it } from "vitest";
import { runCalls } from "./liveness/run.ts";

/** Runs in the suite; more seeds: see `runCalls`. */
const SEEDS = Array.from({ length: 12 }, (_, seed) => seed + 1);

describe("liveness", () => {
  it.each(SEEDS)("every call through two hops ends, whatever the links do (seed %d)", async (seed) => {
    const { opened, codes, stuck, leaks } = await runCalls(seed);
    expect(stuck).toEqual([]);
    expect(leaks).toEqual([]);
    expect(Object.values(codes).reduce((sum, count) => sum + count, 0)).toBe(opened);
    // Most end well, or the run has tested nothing.
    expect(codes[0] ?? 0).toBeGreaterThan(opened / 2);
  });
});
