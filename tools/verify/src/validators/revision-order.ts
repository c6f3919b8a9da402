import type { History } from "../history/history.ts";
import { hasWritten, isSerializable, type Operation } from "../history/operation.ts";
import { describeOperation } from "./describe.ts";
import type { Violation } from "./violation.ts";

/**
 * Revisions follow time: what was invoked after another had returned shows a revision no lower, and a write a higher
 * one. Together with linearizability of each set of keys this orders all of them.
 */
export function checkRevisionOrder({ operations }: History): readonly Violation[] {
  const answered = operations.filter(
    ({ action, outcome }) => outcome.t === "answered" && !isSerializable(action),
  );
  const byReturn = answered.toSorted((a, b) => a.returnedAt - b.returnedAt);
  const violations: Violation[] = [];
  let highest: Operation | undefined;
  let next = 0;
  for (const operation of answered.toSorted((a, b) => a.invokedAt - b.invokedAt)) {
    for (let before = byReturn[next]; before !== undefined && before.returnedAt < operation.invokedAt; ) {
      if (highest === undefined || revisionOf(before) > revisionOf(highest)) highest = before;
      before = byReturn[++next];
    }
    if (highest === undefined) continue;
    const [known, shown] = [revisionOf(highest), revisionOf(operation)];
    const writes = operation.outcome.t === "answered" && hasWritten(operation.outcome.answer);
    if (shown > known || (shown === known && !writes)) continue;
    violations.push({
      promise: "revision order",
      text: `revision ${shown} was answered to a call made after ${known} had been`,
      evidence: [describeOperation(highest), describeOperation(operation)],
      operations: [highest.id, operation.id],
      at: operation.returnedAt,
    });
  }
  return violations;
}

function revisionOf({ outcome }: Operation): bigint {
  return outcome.t === "answered" ? outcome.revision : 0n;
}
