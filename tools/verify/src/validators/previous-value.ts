import type { History } from "../history/history.ts";
import type { ChangeEvent } from "../history/stored.ts";
import type { Timeline } from "../history/timeline.ts";
import type { WatchMessage, WatchRecord } from "../history/watch-record.ts";
import { isEqual } from "./acknowledged.ts";
import { describeEvent, describeStored } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** Previous values come where they were asked for, right, and nowhere else. Compacted ones may be left out. */
export function checkPreviousValue(history: History, timeline: Timeline): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of history.watches) {
    for (const message of watch.messages) {
      if (message.t !== "events") continue;
      for (const event of message.events) {
        const wrong = findWrong(history, timeline, watch, message, event);
        if (wrong !== undefined) {
          violations.push(
            watchViolation("previous value", watch, `${describeEvent(event)} ${wrong}`, [message]),
          );
        }
      }
    }
  }
  return violations;
}

function findWrong(
  history: History,
  timeline: Timeline,
  watch: WatchRecord,
  message: WatchMessage,
  { kv, prev }: ChangeEvent,
): string | undefined {
  if (!watch.request.prevKv) {
    return prev === undefined ? undefined : "has a previous value that nobody asked for";
  }
  // Without the whole past of the key nothing is known about it.
  if (!timeline.isComplete(0n, kv.modRevision)) return undefined;
  const expected = timeline.valueAt(kv.key, kv.modRevision - 1n);
  if (prev !== undefined) {
    if (expected !== undefined && isEqual(expected, prev)) return undefined;
    return `comes with ${describeStored(prev)}; it was ${describeStored(expected)}`;
  }
  if (expected === undefined) return undefined;
  const isCompacted = history.compactions.some(
    ({ revision, askedAt }) => revision >= kv.modRevision && askedAt <= message.at,
  );
  return isCompacted ? undefined : `comes without the previous value ${describeStored(expected)}`;
}
