import type { History } from "../history/history.ts";
import { isSerializable, type Operation } from "../history/operation.ts";
import { describeOperation } from "./describe.ts";
import type { Violation } from "./violation.ts";

/** A serializable read may be old, but no older than what its client has been shown before it asked. */
export function checkSerializableOrder({ operations }: History): readonly Violation[] {
  const violations: Violation[] = [];
  const byClient = Map.groupBy(operations, (operation) => operation.client);
  for (const own of byClient.values()) {
    let highest: Operation | undefined;
    for (const operation of own.toSorted((a, b) => a.invokedAt - b.invokedAt)) {
      if (operation.outcome.t !== "answered") continue;
      if (highest?.outcome.t === "answered" && isSerializable(operation.action)) {
        const isOlder = operation.outcome.revision < highest.outcome.revision;
        if (isOlder && highest.returnedAt <= operation.invokedAt) {
          violations.push({
            promise: "serializable order",
            text: `client ${operation.client} was shown revision ${operation.outcome.revision} after ${highest.outcome.revision}`,
            evidence: [describeOperation(highest), describeOperation(operation)],
            operations: [highest.id, operation.id],
            at: operation.returnedAt,
          });
        }
      }
      if (highest?.outcome.t !== "answered" || operation.outcome.revision > highest.outcome.revision) {
        highest = operation;
      }
    }
  }
  return violations;
}
