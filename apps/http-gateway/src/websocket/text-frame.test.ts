import { expect, it } from "vitest";
import { frameText } from "./text-frame.ts";

// The lengths are those of RFC 6455 §5.7, and those on both sides of where the form changes.
it.each([
  [0, "8100"],
  [5, "8105"],
  [125, "817d"],
  [126, "817e007e"],
  [256, "817e0100"],
  [65_535, "817effff"],
  [65_536, "817f0000000000010000"],
])("a text of %d bytes begins with %s", (length, header) => {
  const text = Buffer.alloc(length, "x");
  const frame = frameText(text);
  expect(frame.subarray(0, header.length / 2).toString("hex")).toBe(header);
  expect(frame.subarray(header.length / 2)).toEqual(text);
});
