import type { History } from "../history/history.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** A header is never behind the events under it, nor behind an earlier created or progress of the same watch. */
export function checkHeaders({ watches }: History): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    let floor = 0n;
    for (const message of watch.messages) {
      if (message.t === "lost") continue;
      if (message.t === "events") {
        const last = message.events.at(-1)?.kv.modRevision ?? 0n;
        if (message.revision < last) {
          const text = `header revision ${message.revision} over an event of ${last}`;
          violations.push(watchViolation("headers", watch, text, [message]));
        }
        continue;
      }
      if (message.revision < floor) {
        const text = `${message.t} with revision ${message.revision} after ${floor}`;
        violations.push(watchViolation("headers", watch, text, [message]));
      }
      if (message.t !== "canceled") floor = message.revision;
    }
  }
  return violations;
}
