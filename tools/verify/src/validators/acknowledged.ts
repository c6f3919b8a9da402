import type { History } from "../history/history.ts";
import { hasWritten, type Operation, type SimpleAction, type SimpleAnswer } from "../history/operation.ts";
import { holds, type Stored } from "../history/stored.ts";
import type { Change, Timeline } from "../history/timeline.ts";
import { describeEvent, describeOperation, describeStored } from "./describe.ts";
import type { Violation } from "./violation.ts";

/**
 * What was answered is what the store has: a write is there at its revision with all its keys and nothing else, and a
 * read shows the keys as they were at the revision in its header, whoever answered it and from whatever cache.
 */
export function checkAcknowledged({ operations }: History, timeline: Timeline): readonly Violation[] {
  const violations: Violation[] = [];
  for (const operation of operations) {
    const { outcome } = operation;
    if (outcome.t !== "answered" || !timeline.isComplete(outcome.revision - 1n, outcome.revision)) continue;
    if (outcome.revision > timeline.head && !hasWritten(outcome.answer)) continue;
    const wrong = hasWritten(outcome.answer)
      ? findWrongWrite(operation, timeline.at(outcome.revision))
      : findWrongRead(operation, outcome.revision, timeline);
    if (wrong === undefined) continue;
    violations.push({
      promise: "acknowledged",
      text: wrong.text,
      evidence: [describeOperation(operation), ...wrong.evidence],
      operations: [operation.id],
      at: operation.returnedAt,
    });
  }
  return violations;
}

interface Wrong {
  readonly text: string;
  readonly evidence: readonly string[];
}

/** Each step with what was answered to it, of the branch that was taken. */
function answersOf(operation: Operation): readonly (readonly [SimpleAction, SimpleAnswer])[] {
  const { action, outcome } = operation;
  if (outcome.t !== "answered") return [];
  if (action.t !== "txn") return outcome.answer.t === "txn" ? [] : [[action, outcome.answer]];
  if (outcome.answer.t !== "txn") return [];
  const { answers } = outcome.answer;
  const steps = outcome.answer.succeeded ? action.success : action.failure;
  return steps.flatMap((step, i) => {
    const answer = answers[i];
    return answer === undefined ? [] : [[step, answer] as const];
  });
}

function findWrongWrite(operation: Operation, change: Change | undefined): Wrong | undefined {
  if (change === undefined) return { text: "an acknowledged write is not in the store", evidence: [] };
  const evidence = [`at revision ${change.revision}: ${change.events.map(describeEvent).join("; ")}`];
  const unexplained = new Set(change.events);
  for (const [step, answer] of answersOf(operation)) {
    if (step.t === "range") continue;
    const own = change.events.filter(({ kind, kv }) =>
      step.t === "put"
        ? kind === "put" && kv.key === step.key && kv.value === step.value && kv.lease === step.lease
        : kind === "delete" && holds(step.span, kv.key),
    );
    const wanted = answer.t === "delete" ? answer.deleted : 1;
    if (own.length !== wanted) {
      return {
        text: `a write was acknowledged, and the store has ${own.length} of its ${wanted} changes`,
        evidence,
      };
    }
    for (const event of own) unexplained.delete(event);
  }
  if (unexplained.size === 0) return undefined;
  return { text: "a revision has more changes than the write that was answered with it", evidence };
}

function findWrongRead(operation: Operation, revision: bigint, timeline: Timeline): Wrong | undefined {
  for (const [step, answer] of answersOf(operation)) {
    if (step.t !== "range" || answer.t !== "range") continue;
    const { at = revision } = step;
    if (step.at !== undefined && !timeline.isComplete(0n, at)) continue;
    const expected = timeline.rangeAt(step.span, at);
    const isRight =
      expected.length === answer.kvs.length && expected.every((kv, i) => isEqual(kv, answer.kvs[i]));
    if (!isRight) {
      return {
        text: `a read does not show the store as it was at ${step.at === undefined ? "its revision" : "the revision asked for,"} ${at}`,
        evidence: [`there was: ${expected.map(describeStored).join(", ") || "nothing"}`],
      };
    }
  }
  return undefined;
}

/** Whether all fields agree. */
export function isEqual(a: Stored, b: Stored | undefined): boolean {
  return (
    b !== undefined &&
    a.key === b.key &&
    a.value === b.value &&
    a.createRevision === b.createRevision &&
    a.modRevision === b.modRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}
