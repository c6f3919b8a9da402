import type { Findings } from "../check-history.ts";
import type { FaultName } from "../faults/faults.ts";
import type { History } from "../history/history.ts";
import type { SwapRecord } from "../history/swap-record.ts";
import { eventsOf } from "../history/watch-record.ts";
import type { PromiseName, Violation } from "../validators/violation.ts";

/** Counts of one round. */
export interface RoundReport {
  readonly seconds: number;
  readonly operations: { readonly answered: number; readonly refused: number; readonly unknown: number };
  readonly revisions: number;
  readonly watches: {
    readonly made: number;
    readonly resumed: number;
    /** As lines of JSON, as Server-Sent Events, over WebSockets. */
    readonly lines: number;
    readonly eventStreams: number;
    readonly sockets: number;
    readonly compacted: number;
    readonly open: number;
  };
  readonly events: number;
  readonly progress: number;
  readonly leases: number;
  /** Why calls failed and watches ended, and how often. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly search: Findings["search"];
  /** Revisions that the reference could not see, because they were compacted first. */
  readonly unseen: number;
  readonly violations: readonly Violation[];
}

/** What was seen of one cluster taking the place of another. */
export interface SwapReport {
  /** From the swap until everybody had been told, and until the door answered for the new cluster; the slowest of each. */
  readonly toldAfterMs: number | undefined;
  readonly answeredAfterMs: number | undefined;
  readonly watches: number;
  readonly answers: number;
  readonly violations: readonly Violation[];
}

/** A whole run. */
export interface RunReport {
  readonly what: string;
  readonly seed: number;
  readonly startedAt: string;
  readonly faults: Readonly<Partial<Record<FaultName, number>>>;
  /** Why a fault that was asked for could not be had. */
  readonly notes: readonly string[];
  readonly allowed: readonly PromiseName[];
  readonly rounds: readonly RoundReport[];
  readonly swaps: readonly SwapReport[];
}

export function summariseRound(history: History, findings: Findings): RoundReport {
  const { operations, watches, reference } = history;
  const count = (t: string): number => operations.filter(({ outcome }) => outcome.t === t).length;
  const compacted = watches.filter(({ messages }) =>
    messages.some((message) => message.t === "canceled" && message.compactRevision > 0n),
  );
  return {
    seconds: history.endedAt / 1000,
    operations: { answered: count("answered"), refused: count("refused"), unknown: count("unknown") },
    revisions: reference.changes.length,
    watches: {
      made: watches.length,
      resumed: watches.filter(({ resumes }) => resumes !== undefined).length,
      lines: watches.filter(({ via }) => via === "lines").length,
      eventStreams: watches.filter(({ via }) => via === "events").length,
      sockets: watches.filter(({ via }) => via === "sockets").length,
      compacted: compacted.length,
      open: watches.filter(({ isOpenAtEnd }) => isOpenAtEnd).length,
    },
    events: watches.reduce((sum, watch) => sum + eventsOf(watch).length, 0),
    progress: watches.reduce(
      (sum, { messages }) => sum + messages.filter((message) => message.t === "progress").length,
      0,
    ),
    leases: history.leases.length,
    reasons: countReasons(history),
    search: findings.search,
    unseen: reference.gaps.reduce((sum, gap) => sum + Number(gap.upto - gap.after), 0),
    violations: findings.violations,
  };
}

export function summariseSwap(swap: SwapRecord, violations: readonly Violation[]): SwapReport {
  const { history, swappedAt, after, answers } = swap;
  const old = history.watches.filter(({ askedAt }) => askedAt < swappedAt);
  const ends = old.flatMap(({ messages }) => messages.filter(({ t }) => t === "lost" || t === "canceled"));
  const firsts = new Map<number, number>();
  for (const { client, at, clusterId } of answers) {
    if (clusterId === after && !firsts.has(client)) firsts.set(client, at - swappedAt);
  }
  const slowest = (times: readonly number[]): number | undefined =>
    times.length === 0 ? undefined : Math.round(Math.max(...times));
  return {
    toldAfterMs: slowest(ends.map(({ at }) => at - swappedAt)),
    answeredAfterMs: slowest([...firsts.values()]),
    watches: history.watches.length,
    answers: answers.length,
    violations,
  };
}

/** All that were found, in rounds and between them. */
export function violationsOf({ rounds, swaps }: RunReport): readonly Violation[] {
  return [...rounds, ...swaps].flatMap(({ violations }) => violations);
}

/** Violations by promise. */
export function countViolations(report: RunReport): ReadonlyMap<PromiseName, number> {
  const counts = new Map<PromiseName, number>();
  for (const { promise } of violationsOf(report)) {
    counts.set(promise, (counts.get(promise) ?? 0) + 1);
  }
  return counts;
}

/** Whether everything was kept but what is allowed. */
export function isGood(report: RunReport): boolean {
  return [...countViolations(report).keys()].every((promise) => report.allowed.includes(promise));
}

function countReasons({ operations, watches }: History): Record<string, number> {
  const counts: Record<string, number> = {};
  const add = (reason: string): void => {
    // grpc-js puts the time and more behind this.
    const name = reason.replace(/ Last error:.*/s, "");
    counts[name] = (counts[name] ?? 0) + 1;
  };
  for (const { outcome } of operations) if (outcome.t !== "answered") add(`call: ${outcome.reason}`);
  for (const message of watches.flatMap((watch) => watch.messages)) {
    if (message.t === "lost") add(`stream: ${message.reason}`);
    if (message.t === "canceled")
      add(`watch: ${message.reason || (message.compactRevision > 0n ? "compacted" : "as asked")}`);
  }
  return counts;
}
