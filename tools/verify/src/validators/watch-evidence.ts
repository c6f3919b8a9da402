import type { WatchMessage, WatchRecord } from "../history/watch-record.ts";
import { describeMessage, describeWatch } from "./describe.ts";
import type { PromiseName, Violation } from "./violation.ts";

/** How many messages before the one in question are shown beside those that are named. */
const context = 2;

/** A violation that one watch shows: its request, the messages named, the two before the last of them. */
export function watchViolation(
  promise: PromiseName,
  watch: WatchRecord,
  text: string,
  shown: readonly WatchMessage[],
  more: readonly string[] = [],
): Violation {
  const last = shown.at(-1);
  const at = last === undefined ? -1 : watch.messages.indexOf(last);
  const near = watch.messages.filter(
    (message, i) => shown.includes(message) || (i < at && i >= at - context),
  );
  return {
    promise,
    text: `watch ${watch.id}: ${text}`,
    evidence: [describeWatch(watch), ...more, ...near.map(describeMessage)],
    watches: [watch.id],
    ...(last === undefined ? {} : { at: last.at }),
  };
}
