import type { History } from "../history/history.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** All changes of one revision come in one response, or in fragments where the client allowed them. */
export function checkAtomic({ watches }: History): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    let last: bigint | undefined;
    let isOpen = false;
    for (const message of watch.messages) {
      if (message.t !== "events") continue;
      const first = message.events[0]?.kv.modRevision;
      if (first !== undefined && first === last && !isOpen) {
        violations.push(
          watchViolation("atomic", watch, `tells revision ${first} in two responses`, [message]),
        );
      }
      if (message.isFragment && !watch.request.fragment) {
        violations.push(watchViolation("atomic", watch, "tells a fragment that was not allowed", [message]));
      }
      isOpen = message.isFragment;
      last = message.events.at(-1)?.kv.modRevision ?? last;
    }
  }
  return violations;
}
