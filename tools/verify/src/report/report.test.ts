import { describe, expect, it } from "vitest";
import { checkHistory } from "../check-history.ts";
import {
  getAction,
  operation,
  putAction,
  response,
  sampleEvents,
  sampleHistory,
  sampleWatch,
  stored,
} from "../history/sample-history.ts";
import { renderSvg } from "./render-svg.ts";
import { renderText } from "./render-text.ts";
import { isGood, type RunReport, summariseRound } from "./run-report.ts";

const { a1, a2 } = sampleEvents;
/** A watch with a hole in it, and a read from before a write that had been answered. */
const broken = sampleHistory({
  watches: [sampleWatch([response(a1), response(a2)])],
  operations: [
    operation([0, 210], putAction("a", "1"), { t: "put" }, 2n),
    operation([300, 410], putAction("a", "2"), { t: "put" }, 4n),
    operation([412, 418], getAction("b"), { t: "range", kvs: [stored("b", "1", 3n)] }, 4n, 2),
    operation([420, 430], getAction("a"), { t: "range", kvs: [stored("a", "1", 2n)] }, 3n, 2),
  ],
  disturbances: [[415, 425]],
});
const findings = checkHistory(broken);

function reportOf(more: Partial<RunReport> = {}): RunReport {
  const round = summariseRound(broken, findings);
  const common = { what: "a store", seed: 1, startedAt: "now", faults: { cut: 2 }, notes: [], allowed: [] };
  return { ...common, rounds: [round], swaps: [], ...more };
}

describe("a report", () => {
  it("says what ran, what was broken, and the least that shows it", () => {
    const text = renderText(reportOf());
    expect(text).toContain("a store, seed 1: 1 rounds, 60 s");
    expect(text).toContain("faults      cut 2");
    expect(text).toContain("✗ reliable: 1\n  watch 1: lost 1 events, the first is PUT b=1@3");
    expect(text).toContain("✗ linearizable: 1\n  no order of 2 operations on a, b explains their answers");
    expect(text).toContain("client 2, 420.0–430.0 ms: get a → a=1@2, revision 3");
    expect(text).toContain("promises were broken");
  });

  it("forgives what is allowed", () => {
    expect(isGood(reportOf())).toBe(false);
    const promises = findings.violations.map((one) => one.promise);
    expect(isGood(reportOf({ allowed: promises }))).toBe(true);
    expect(renderText(reportOf({ allowed: promises }))).toContain("every other promise was kept");
  });

  it("says that nothing was broken", () => {
    const good = summariseRound(broken, { ...findings, violations: [] });
    expect(renderText(reportOf({ rounds: [good] }))).toContain("every promise was kept");
  });

  it("says where the search gave up", () => {
    const search = { ...findings.search, gaveUp: ["a, b"] };
    const round = summariseRound(broken, { violations: [], search });
    expect(renderText(reportOf({ rounds: [round] }))).toContain("the search gave up on 1: a, b");
  });

  it("draws operations, watches and faults, with what shows it in red", () => {
    const pictures = findings.violations.map((violation) => renderSvg(broken, violation));
    for (const picture of pictures) {
      expect(picture).toMatch(/^<svg [^>]+>.*<\/svg>\n$/s);
      expect(picture.match(/<(?:rect|circle)[^>]+fill="#d33"/g)?.length).toBeGreaterThan(0);
    }
    expect(pictures.join()).toContain("<title>a fault</title>");
    expect(pictures.join()).toContain(">watch 1</text>");
    expect(pictures.join()).toContain(">client 2</text>");
  });
});
