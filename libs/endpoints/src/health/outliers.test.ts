import { describe, expect, it } from "vitest";
import { Outliers, type WorkRecord } from "./outliers.ts";

/** `a` succeeds, `A` fails; likewise for b and c, one a second. Answers who became an outlier, and after which letter. */
function run(failuresInRow: number, script: string): string[] {
  let nowMs = 0;
  const outliers = new Outliers(failuresInRow, { nowMs: () => nowMs });
  const records = new Map<string, WorkRecord>(["a", "b", "c"].map((name) => [name, outliers.add()]));
  return [...script].flatMap((letter, n) => {
    nowMs += 1_000;
    const record = records.get(letter.toLowerCase());
    if (record === undefined) throw new Error(letter);
    if (letter === letter.toLowerCase()) record.succeeded();
    else if (record.failed()) return [`${letter}${n}`];
    return [];
  });
}

describe("an outlier", () => {
  it.each([
    ["who fails so often in a row while another serves", 3, "AAbA", ["A3"]],
    ["who fails until another one serves", 3, "AAAAAbA", ["A6"]],
    ["not who serves in between", 3, "bAAabAAabAA", []],
    ["not if the others served only before", 3, "bcAAAAAA", []],
    ["nobody where everybody fails", 3, "ABCABCABCABC", []],
    ["the one of two whose rival serves", 3, "ABbABbABb", ["A6"]],
    ["again, by one failure, once another one has served since", 3, "AAbAAAbAbA", ["A3", "A7", "A9"]],
    ["again, by as many as before, if it has served since", 3, "AAbAaAbAbA", ["A3", "A9"]],
    ["two at a time", 2, "ABcAB", ["A3", "B4"]],
    ["nobody where it is off", 0, "AbAbAbAbAb", []],
  ])("is %s", (_, failuresInRow, script, expected) => {
    expect(run(failuresInRow, script)).toEqual(expected);
  });

  it("is not judged by who has left", () => {
    let nowMs = 0;
    const outliers = new Outliers(2, { nowMs: () => (nowMs += 1_000) });
    const [stays, left] = [outliers.add(), outliers.add()];
    stays.failed();
    left.succeeded();
    outliers.forget(left);
    expect([stays.failed(), stays.failed()]).toEqual([false, false]);
  });

  it("is nobody who fails much at once: an election does that", () => {
    let nowMs = 0;
    const outliers = new Outliers(5, { nowMs: () => nowMs });
    const [one, other] = [outliers.add(), outliers.add()];
    const burst = Array.from({ length: 100 }, () => one.failed());
    other.succeeded();
    nowMs = 1_999;
    expect([...burst, one.failed()]).not.toContain(true);
    nowMs = 2_000;
    expect(one.failed()).toBe(true);
  });
});
