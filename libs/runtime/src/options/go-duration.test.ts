import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatGoDuration, parseGoDuration } from "./go-duration.ts";

describe("parseGoDuration", () => {
  it.each([
    ["0", 0],
    ["5s", 5_000],
    ["1m0s", 60_000],
    ["2h45m", 9_900_000],
    ["-1.5h", -5_400_000],
    ["+300ms", 300],
    [".5s", 500],
    ["1.s", 1_000],
    ["1µs", 0.001],
    ["1us2ns", 0.001002],
    ["100ns", 0.0001],
  ])("reads %s", (text, ms) => {
    expect(parseGoDuration(text)).toBeCloseTo(ms, 9);
  });

  it.each([
    ["", 'time: invalid duration ""'],
    ["5", 'time: missing unit in duration "5"'],
    ["x", 'time: invalid duration "x"'],
    ["-", 'time: invalid duration "-"'],
    [".s", 'time: invalid duration ".s"'],
    ["3d", 'time: unknown unit "d" in duration "3d"'],
    ["9999999h", 'time: invalid duration "9999999h"'],
  ])("refuses %j with Go's sentence", (text, message) => {
    expect(() => parseGoDuration(text)).toThrow(new Error(message));
  });
});

describe("formatGoDuration", () => {
  it.each([
    [0, "0s"],
    [60_000, "1m0s"],
    [300_000, "5m0s"],
    [1_500, "1.5s"],
    [7_200_000, "2h0m0s"],
    [20_000, "20s"],
    [1.5, "1.5ms"],
    [0.001, "1µs"],
    [0.000001, "1ns"],
    [-1_000, "-1s"],
  ])("writes %d ms as %s", (ms, text) => {
    expect(formatGoDuration(ms)).toBe(text);
  });

  it("is undone by parsing", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
        expect(parseGoDuration(formatGoDuration(ms))).toBe(ms);
      }),
    );
  });
});
