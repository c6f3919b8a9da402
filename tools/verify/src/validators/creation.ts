import type { History } from "../history/history.ts";
import type { Timeline } from "../history/timeline.ts";
import { describeEvent, describeStored } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** A put says "created" exactly where the key was not there before, and its version counts the puts since. */
export function checkCreation({ watches }: History, timeline: Timeline): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    for (const message of watch.messages) {
      if (message.t !== "events") continue;
      for (const event of message.events) {
        const { kv } = event;
        if (event.kind === "delete" || !timeline.isComplete(0n, kv.modRevision)) continue;
        const before = timeline.valueAt(kv.key, kv.modRevision - 1n);
        const isRight =
          before === undefined
            ? kv.createRevision === kv.modRevision && kv.version === 1n
            : kv.createRevision === before.createRevision && kv.version === before.version + 1n;
        if (isRight) continue;
        const text = `${describeEvent(event)} is ${describeStored(kv)}, and before it there was ${describeStored(before)}`;
        violations.push(watchViolation("creation", watch, text, [message]));
      }
    }
  }
  return violations;
}
