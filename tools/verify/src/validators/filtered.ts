import type { History } from "../history/history.ts";
import { type ChangeEvent, describeSpan, holds } from "../history/stored.ts";
import { isWanted, type WatchRecord } from "../history/watch-record.ts";
import { describeEvent } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** A watch tells only what it was asked for: its keys, its kinds of change, nothing from before its start. */
export function checkFiltered({ watches }: History): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    for (const message of watch.messages) {
      if (message.t !== "events") continue;
      for (const event of message.events) {
        const wrong = findWrong(watch, event);
        if (wrong === undefined) continue;
        const text = `tells ${describeEvent(event)}, which ${wrong}`;
        violations.push(watchViolation("filtered", watch, text, [message]));
      }
    }
  }
  return violations;
}

function findWrong({ request }: WatchRecord, { kind, kv }: ChangeEvent): string | undefined {
  if (!holds(request.span, kv.key)) return `is not in ${describeSpan(request.span)}`;
  if (!isWanted(request, kind)) return `is a ${kind} and filtered out`;
  if (kv.modRevision < request.startRevision) return `is from before its start ${request.startRevision}`;
  return undefined;
}
