import { expect, it } from "vitest";
import { isAtLeast } from "./version-gate.ts";

it.each([
  ["3.4.24", false],
  ["3.4.25", true],
  ["3.5.7", false],
  ["3.5.8", true],
  ["3.6.0", true],
  ["3.7.3", true],
])("places %s in a change of 3.4.25 and 3.5.8", (version, isIn) => {
  expect(isAtLeast(version, { 3.4: 25, 3.5: 8 })).toBe(isIn);
});

it("knows that a line without the change lacks it", () => {
  expect(isAtLeast("3.4.45", { 3.5: 0 })).toBe(false);
});
