import { describe, expect, it } from "vitest";
import { gatesOf, oldestGates } from "./version-gates.ts";

describe("gatesOf", () => {
  it.each([
    [
      "3.4.22",
      { readOnlyTxn: false, requestedProgress: false, startAtCompact: false, refusesNegativeStart: false },
    ],
    [
      "3.4.23",
      { readOnlyTxn: true, requestedProgress: false, startAtCompact: false, refusesNegativeStart: false },
    ],
    [
      "3.4.38",
      { readOnlyTxn: true, requestedProgress: true, startAtCompact: true, refusesNegativeStart: true },
    ],
    [
      "3.5.12",
      { readOnlyTxn: true, requestedProgress: false, startAtCompact: false, refusesNegativeStart: false },
    ],
    [
      "3.5.18",
      { readOnlyTxn: true, requestedProgress: true, startAtCompact: true, refusesNegativeStart: false },
    ],
    [
      "3.6.0-rc.1",
      { readOnlyTxn: true, requestedProgress: true, startAtCompact: true, refusesNegativeStart: false },
    ],
    [
      "3.7.3",
      { readOnlyTxn: true, requestedProgress: true, startAtCompact: true, refusesNegativeStart: true },
    ],
    [
      "4.0.0",
      { readOnlyTxn: true, requestedProgress: true, startAtCompact: true, refusesNegativeStart: true },
    ],
  ])("rule 4, 5, 14: knows %s", (version, gates) => {
    expect(gatesOf(version)).toEqual({ isKnown: true, ...gates });
  });

  it.each(["", "not decided", "2.3.8"])("trusts nothing of %j", (version) => {
    expect(gatesOf(version)).toEqual(oldestGates);
  });
});
