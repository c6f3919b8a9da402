import type { History } from "../history/history.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** After a progress answer nothing comes from before it, and none says less than was told already. */
export function checkBookmarkable({ watches }: History): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    let bookmark = 0n;
    let told = 0n;
    for (const message of watch.messages) {
      if (message.t === "progress") {
        if (message.revision < told) {
          const text = `progress ${message.revision} after revision ${told} was told`;
          violations.push(watchViolation("bookmarkable", watch, text, [message]));
        }
        if (message.revision > bookmark) bookmark = message.revision;
      } else if (message.t === "events") {
        const first = message.events[0]?.kv.modRevision ?? bookmark + 1n;
        if (first <= bookmark) {
          const text = `tells revision ${first} after progress ${bookmark}`;
          violations.push(watchViolation("bookmarkable", watch, text, [message]));
        }
        told = message.events.at(-1)?.kv.modRevision ?? told;
      }
    }
  }
  return violations;
}
