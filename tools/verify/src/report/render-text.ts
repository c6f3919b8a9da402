import {
  countViolations,
  isGood,
  type RoundReport,
  type RunReport,
  type SwapReport,
  violationsOf,
} from "./run-report.ts";

const shownPerPromise = 2;

/** The report as people read it: what ran, what was seen, what was broken and the least that shows it. */
export function renderText(report: RunReport): string {
  const { rounds, allowed } = report;
  const sum = (of: (round: RoundReport) => number): string =>
    rounds.reduce((total, round) => total + of(round), 0).toLocaleString("en");
  const seconds = rounds.reduce((total, round) => total + round.seconds, 0);
  const gaveUp = rounds.flatMap((round) => round.search.gaveUp);
  const faults = Object.entries(report.faults).map(([name, count]) => `${name} ${count}`);
  const lines = [
    `${report.what}, seed ${report.seed}: ${rounds.length} rounds, ${seconds.toFixed(0)} s`,
    `  operations  ${sum((r) => r.operations.answered)} answered, ${sum((r) => r.operations.unknown)} without an answer, ${sum((r) => r.operations.refused)} refused`,
    `  store       ${sum((r) => r.revisions)} revisions, ${sum((r) => r.unseen)} compacted before they could be seen, ${sum((r) => r.leases)} leases`,
    `  watches     ${sum((r) => r.watches.made)} made, ${sum((r) => r.watches.resumed)} of them resumed, ${sum((r) => r.watches.compacted)} compacted, ${sum((r) => r.watches.lines)} as lines of JSON, ${sum((r) => r.watches.eventStreams)} as events, ${sum((r) => r.watches.sockets)} over WebSockets; ${sum((r) => r.events)} events, ${sum((r) => r.progress)} progress answers`,
    `  order       ${sum((r) => r.search.calls)} calls in ${sum((r) => r.search.components)} sets of keys${gaveUp.length === 0 ? "" : `; the search gave up on ${gaveUp.length}: ${gaveUp.slice(0, 3).join(" | ")}`}`,
    `  faults      ${faults.join(", ") || "none"}`,
    ...report.swaps.map((swap) => `  swap        ${describeSwap(swap)}`),
    ...report.notes.map((note) => `  note        ${note}`),
  ];
  const counts = countViolations(report);
  if (counts.size === 0) return [...lines, "  every promise was kept", ""].join("\n");
  for (const [promise, count] of counts) {
    const forgiven = allowed.includes(promise) ? " (allowed)" : "";
    lines.push("", `✗ ${promise}: ${count}${forgiven}`);
    const found = violationsOf(report).filter((one) => one.promise === promise);
    for (const { text, evidence } of found.slice(0, shownPerPromise)) {
      lines.push(`  ${text}`, ...evidence.map((line) => `    ${shorten(line)}`));
    }
    if (count > shownPerPromise) lines.push(`  … and ${count - shownPerPromise} more in report.json`);
  }
  lines.push("", isGood(report) ? "every other promise was kept" : "promises were broken", "");
  return lines.join("\n");
}

function describeSwap({ watches, answers, toldAfterMs, answeredAfterMs }: SwapReport): string {
  const seconds = (ms: number | undefined): string =>
    ms === undefined ? "never" : `${(ms / 1000).toFixed(1)} s`;
  return `another cluster: ${watches} watches, the last of before told after ${seconds(toldAfterMs)}; ${answers} answers, the last client served after ${seconds(answeredAfterMs)}`;
}

function shorten(line: string): string {
  return line.length <= 400 ? line : `${line.slice(0, 390)} … (${line.length} letters)`;
}
