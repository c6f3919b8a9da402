import type { History } from "../history/history.ts";
import {
  type Action,
  hasWritten,
  isOfThePast,
  isSerializable,
  mayWrite,
  type Operation,
  stepsOf,
} from "../history/operation.ts";
import type { Change, Timeline } from "../history/timeline.ts";
import type { KvOperation } from "./kv-model.ts";
import type { Call } from "./search.ts";

/** A call of the search, and where it comes from: an operation of the history, or only a change that was seen. */
export interface KvCall extends Call<KvOperation> {
  readonly source: Operation | undefined;
}

/**
 * What the search is asked about: the answered operations; each change of the store that no answer explains, as a write
 * by whoever it was; and, where the reference has gaps, the writes that may or may not have been done.
 *
 * A write that failed is known by its values, which are written once in a run: seen in a change, it was done then.
 */
export function toCalls(history: History, timeline: Timeline): readonly KvCall[] {
  const calls: KvCall[] = [];
  const explained = new Set<bigint>();
  const pending = new Map<string, Operation>();
  const unanswered: Operation[] = [];
  for (const operation of history.operations) {
    const { action, outcome } = operation;
    if (outcome.t === "answered") {
      if (isSerializable(action) || isOfThePast(action)) continue;
      if (hasWritten(outcome.answer)) explained.add(outcome.revision);
      calls.push({
        operation: { t: "answered", action, answer: outcome.answer, revision: outcome.revision },
        invokedAt: operation.invokedAt,
        returnedAt: operation.returnedAt,
        isOptional: false,
        source: operation,
      });
    } else if (outcome.t === "unknown" && mayWrite(action)) {
      unanswered.push(operation);
      for (const value of valuesOf(action)) pending.set(value, operation);
    }
  }
  const found = new Set<Operation>();
  for (const change of timeline.changes) {
    if (explained.has(change.revision)) continue;
    const source = change.events
      .map(({ kind, kv }) => (kind === "put" ? pending.get(kv.value) : undefined))
      .find((operation) => operation !== undefined);
    if (source !== undefined) found.add(source);
    calls.push(effectOf(change, source));
  }
  if (timeline.hasGaps) {
    for (const operation of unanswered) if (!found.has(operation)) calls.push(maybe(operation));
  }
  return calls;
}

function effectOf(change: Change, source: Operation | undefined): KvCall {
  return {
    operation: { t: "effect", events: change.events, revision: change.revision },
    invokedAt: source?.invokedAt ?? Number.NEGATIVE_INFINITY,
    returnedAt: change.seenAt, // what was seen had been done
    isOptional: false,
    source,
  };
}

function maybe(operation: Operation): KvCall {
  return {
    operation: { t: "unknown", action: operation.action },
    invokedAt: operation.invokedAt,
    returnedAt: Number.POSITIVE_INFINITY,
    isOptional: true,
    source: operation,
  };
}

function valuesOf(action: Action): readonly string[] {
  return stepsOf(action).flatMap((step) => (step.t === "put" ? [step.value] : []));
}
