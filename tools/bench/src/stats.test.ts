import { describe, expect, it } from "vitest";
import { summarise } from "./stats.ts";

describe("summarise", () => {
  it.each([
    { values: [3], median: 3, spread: 0 },
    { values: [1, 3], median: 2, spread: 0.5 },
    { values: [10, 8, 12], median: 10, spread: 0.2 },
    { values: [4, 1, 3, 2], median: 2.5, spread: 0.6 },
    { values: [0, 0], median: 0, spread: 0 },
  ])("$values: $median ± $spread", ({ values, median, spread }) => {
    expect(summarise(values)).toEqual({ median, spread, values });
  });

  it("refuses to summarise nothing", () => {
    expect(() => summarise([])).toThrow("nothing was measured");
  });
});
