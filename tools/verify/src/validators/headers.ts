import type { History } from "../history/history.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/**
 * A header is never behind the events under it, nor behind an earlier one of its kind. Kinds by themselves, because etcd
 * sends what concerns a stream and what concerns one watch by two ways, of which either may be the faster.
 */
export function checkHeaders({ watches }: History): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    const floors = new Map<string, bigint>();
    for (const message of watch.messages) {
      // etcd leaves the header of a compacted cancel empty.
      if (message.t === "lost" || message.t === "canceled") continue;
      if (message.t === "events") {
        const last = message.events.at(-1)?.kv.modRevision ?? 0n;
        if (message.revision < last) {
          const text = `header revision ${message.revision} over an event of ${last}`;
          violations.push(watchViolation("headers", watch, text, [message]));
        }
        continue;
      }
      const kind = message.t === "progress" && message.isForStream ? "stream" : "watch";
      const floor = floors.get(kind) ?? 0n;
      if (message.revision < floor) {
        const text = `${message.t} with revision ${message.revision} after ${floor}`;
        violations.push(watchViolation("headers", watch, text, [message]));
      }
      floors.set(kind, message.revision);
    }
  }
  return violations;
}
