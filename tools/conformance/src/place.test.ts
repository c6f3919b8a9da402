import { describe, expect, it } from "vitest";
import { allPlaces, coveringPlaces, describePlace, type Place } from "./place.ts";

const versions = ["3.4.23", "3.5.30", "3.6.16", "3.7.3"];
const all = allPlaces(versions);

describe("allPlaces", () => {
  it("is every combination once, and none with a namespace that nobody could add", () => {
    expect(all).toHaveLength(versions.length * (4 + 8 + 8));
    expect(new Set(all.map(describePlace)).size).toBe(all.length);
    expect(all.some((place) => place.door === "direct" && place.namespace !== "")).toBe(false);
  });
});

describe("coveringPlaces", () => {
  it.each([versions, versions.slice(0, 1)])("meets every value of every axis (%s …)", (...some) => {
    const places = allPlaces(some);
    const chosen = coveringPlaces(places);
    for (const axis of ["version", "door", "members", "security", "namespace"] as const) {
      const values = (list: readonly Place[]): unknown[] => [...new Set(list.map((one) => one[axis]))].sort();
      expect(values(chosen)).toEqual(values(places));
    }
    expect(chosen.length).toBeLessThanOrEqual(Math.max(2 * some.length, 6));
  });

  it("meets every version straight and through a proxy", () => {
    const chosen = coveringPlaces(all);
    for (const version of versions) {
      const doors = chosen.filter((place) => place.version === version).map((place) => place.door);
      expect(doors).toContain("direct");
      expect(doors.some((door) => door !== "direct")).toBe(true);
    }
  });
});
