import type { History } from "../history/history.ts";
import { isSerializable, type Operation } from "../history/operation.ts";
import { describeOperation } from "./describe.ts";
import type { Violation } from "./violation.ts";

/**
 * A serializable read may be old, but no older than what its client has been shown before it asked. A client is one
 * connection here, because that is all a server knows of it: whatever may have broken it, a fault or a failed call, begins
 * another one.
 */
export function checkSerializableOrder(history: History): readonly Violation[] {
  const violations: Violation[] = [];
  const byClient = Map.groupBy(history.operations, (operation) => operation.client);
  for (const own of byClient.values()) {
    let highest: Operation | undefined;
    for (const operation of own.toSorted((a, b) => a.invokedAt - b.invokedAt)) {
      if (operation.outcome.t !== "answered") {
        highest = undefined;
        continue;
      }
      if (highest !== undefined && isDisturbed(history, highest.invokedAt, operation.returnedAt)) {
        highest = undefined;
      }
      const known = revisionOf(highest);
      const { revision } = operation.outcome;
      const isAfter = highest !== undefined && highest.returnedAt <= operation.invokedAt;
      if (highest !== undefined && isAfter && revision < known && isSerializable(operation.action)) {
        violations.push({
          promise: "serializable order",
          text: `client ${operation.client} was shown revision ${revision} after ${known}`,
          evidence: [describeOperation(highest), describeOperation(operation)],
          operations: [highest.id, operation.id],
          at: operation.returnedAt,
        });
      }
      if (revision > known) highest = operation;
    }
  }
  return violations;
}

function isDisturbed({ disturbances }: History, from: number, to: number): boolean {
  return disturbances.some(([begin, end]) => begin <= to && end >= from);
}

function revisionOf(operation: Operation | undefined): bigint {
  return operation?.outcome.t === "answered" ? operation.outcome.revision : 0n;
}
