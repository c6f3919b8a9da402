import type { History } from "../history/history.ts";
import { describeEvent } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** A watch tells nothing twice, nor do a watch and those that go on from it. */
export function checkUnique({ watches }: History): readonly Violation[] {
  const violations: Violation[] = [];
  const byId = new Map(watches.map((watch) => [watch.id, watch]));
  const told = new Map<number, Set<string>>();
  for (const watch of watches) {
    // What its predecessors were told is what it must not tell again; records are in the order they were made.
    // A revision of which it got only fragments is told to the successor from its beginning.
    const before = watch.resumes === undefined ? undefined : told.get(watch.resumes);
    const seen = new Set(before);
    told.set(watch.id, seen);
    for (const message of watch.messages) {
      if (message.t !== "events") continue;
      for (const event of message.events) {
        const name = `${event.kv.modRevision} ${event.kv.key}`;
        if (seen.has(name)) {
          const earlier =
            before?.has(name) === true ? ` (watch ${byId.get(watch.resumes ?? -1)?.id} had it)` : "";
          violations.push(
            watchViolation("unique", watch, `tells ${describeEvent(event)} again${earlier}`, [message]),
          );
        }
        seen.add(name);
      }
    }
  }
  return violations;
}
