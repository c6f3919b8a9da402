import { hasWritten } from "../history/operation.ts";
import type { Stored } from "../history/stored.ts";
import { createKvModel, type KvOperation, type KvState } from "./kv-model.ts";
import { findLinearization } from "./search.ts";
import type { KvCall } from "./to-calls.ts";

/** Steps of the model for one try: smaller histories are what is looked for, and they are cheap. */
const maxSteps = 200_000;

export interface Smallest {
  readonly initial: KvState;
  readonly calls: readonly KvCall[];
}

/**
 * The part of an impossible history that shows it. Each cut keeps it impossible for the same store:
 * what had returned by an earlier time is a history of its own; what was written before a revision becomes the state to
 * begin with, and whoever rightly answered from before it goes; a read may always be left out, for it changes nothing.
 *
 * @param stateAt the keys of the component at a revision, from the reference
 */
export function minimise(
  calls: readonly KvCall[],
  stateAt: (revision: bigint) => ReadonlyMap<string, Stored>,
): Smallest {
  let best: Smallest = { initial: { revision: 0n, keys: stateAt(0n) }, calls };
  const tryIt = (candidate: Smallest): boolean => {
    if (!isImpossible(candidate)) return false;
    best = candidate;
    return true;
  };
  cutEnd(best, tryIt);
  cutBeginning(best, stateAt, tryIt);
  dropReads(() => best, tryIt);
  return best;
}

/** Whether no order explains the calls from that state; a search that gives up shows nothing. */
function isImpossible({ initial, calls }: Smallest): boolean {
  const revisions = calls.flatMap(({ operation }) => writtenAt(operation) ?? []);
  return findLinearization(createKvModel(initial, revisions), calls, maxSteps).t === "impossible";
}

/** The revision that a call wrote at, if it is known and it wrote. */
export function writtenAt(operation: KvOperation): bigint | undefined {
  switch (operation.t) {
    case "answered":
      return hasWritten(operation.answer) ? operation.revision : undefined;
    case "effect":
      return operation.revision;
    case "unknown":
      return undefined;
    default:
      return operation satisfies never;
  }
}

/** The earliest return by which it is impossible already, by halves: calls invoked later have no part in it. */
function cutEnd(whole: Smallest, tryIt: (candidate: Smallest) => boolean): void {
  const times = [...new Set(whole.calls.map((call) => call.returnedAt))].sort((a, b) => a - b);
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const calls = callsUntil(whole.calls, times[middle] ?? 0);
    if (tryIt({ ...whole, calls })) high = middle;
    else low = middle + 1;
  }
}

/** Who has not returned by then may have taken effect or not; but nobody answered from behind a later write. */
function callsUntil(calls: readonly KvCall[], until: number): readonly KvCall[] {
  let highest = 0n;
  for (const { operation, returnedAt } of calls) {
    if (returnedAt > until || operation.t === "unknown") continue;
    if (operation.revision > highest) highest = operation.revision;
  }
  return calls.flatMap((call) => {
    if (call.invokedAt > until) return [];
    if (call.returnedAt <= until) return [call];
    if ((writtenAt(call.operation) ?? 0n) > highest) return [];
    return [{ ...call, isOptional: true, returnedAt: Number.POSITIVE_INFINITY }];
  });
}

/** The latest write that it can begin with, by halves over the revisions of writes. */
function cutBeginning(
  whole: Smallest,
  stateAt: (revision: bigint) => ReadonlyMap<string, Stored>,
  tryIt: (candidate: Smallest) => boolean,
): void {
  const revisions = whole.calls.flatMap(({ operation }) => writtenAt(operation) ?? []);
  const sorted = [...new Set(revisions)].sort((a, b) => (a < b ? -1 : 1));
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    const first = sorted[middle] ?? 0n;
    const calls = callsSince(whole.calls, first);
    if (tryIt({ initial: { revision: first - 1n, keys: stateAt(first - 1n) }, calls })) low = middle;
    else high = middle - 1;
  }
}

/**
 * What has to do with the store from this write on: it and later writes, and who answered from there, or from before it
 * though somebody had been answered from there already.
 */
function callsSince(calls: readonly KvCall[], first: bigint): readonly KvCall[] {
  const reached = Math.min(
    ...calls.filter(({ operation }) => (writtenAt(operation) ?? 0n) >= first).map((call) => call.returnedAt),
  );
  return calls.filter(({ operation, invokedAt }) => {
    if (operation.t === "unknown") return true;
    const written = writtenAt(operation);
    return written === undefined ? operation.revision >= first || invokedAt > reached : written >= first;
  });
}

/** Leaves out reads in ever smaller lots (delta debugging). */
function dropReads(best: () => Smallest, tryIt: (candidate: Smallest) => boolean): void {
  for (let lot = best().calls.length; lot >= 1; lot = lot >>> 1) {
    let at = 0;
    while (at < best().calls.length) {
      const { initial, calls } = best();
      const kept = calls.filter(
        (call, i) => i < at || i >= at + lot || writtenAt(call.operation) !== undefined,
      );
      if (kept.length === calls.length || !tryIt({ initial, calls: kept })) at += lot;
    }
  }
}
