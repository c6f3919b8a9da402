import type { History } from "../history/history.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** The revisions a watch tells never go down. */
export function checkOrdered({ watches }: History): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    let last = 0n;
    for (const message of watch.messages) {
      if (message.t !== "events") continue;
      for (const { kv } of message.events) {
        if (kv.modRevision < last) {
          violations.push(
            watchViolation("ordered", watch, `tells revision ${kv.modRevision} after ${last}`, [message]),
          );
        }
        last = kv.modRevision;
      }
    }
  }
  return violations;
}
