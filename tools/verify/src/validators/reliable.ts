import type { History } from "../history/history.ts";
import type { Timeline } from "../history/timeline.ts";
import { eventsOf, type WatchRecord } from "../history/watch-record.ts";
import { firstOwed, owedBetween, spokenUpTo } from "./coverage.ts";
import { describeEvent } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** Between its start and the last it has told, a watch leaves nothing out. */
export function checkReliable(history: History, timeline: Timeline): readonly Violation[] {
  return history.watches.flatMap((watch) => findLoss(watch, timeline) ?? []);
}

function findLoss(watch: WatchRecord, timeline: Timeline): Violation | undefined {
  const first = firstOwed(watch);
  if (first === undefined) return undefined;
  const told = new Set(eventsOf(watch).map(({ kv }) => `${kv.modRevision} ${kv.key}`));
  const missing = owedBetween(watch, timeline, first - 1n, spokenUpTo(watch)).filter(
    ({ kv }) => !told.has(`${kv.modRevision} ${kv.key}`),
  );
  const [lost] = missing;
  if (lost === undefined) return undefined;
  const behind = watch.messages.find((message) =>
    message.t === "events"
      ? message.events.some(({ kv }) => kv.modRevision > lost.kv.modRevision)
      : message.t === "progress" && message.revision >= lost.kv.modRevision,
  );
  const text = `lost ${missing.length} events, the first is ${describeEvent(lost)}`;
  const isFirst =
    watch.resumes !== undefined && eventsOf(watch).every(({ kv }) => kv.modRevision > lost.kv.modRevision);
  // A hole right at the beginning of a watch that goes on from another is a fault of resuming.
  const promise = isFirst ? "resumable" : "reliable";
  return watchViolation(promise, watch, text, behind === undefined ? [] : [behind], [
    `lost: ${missing.slice(0, 5).map(describeEvent).join("; ")}${missing.length > 5 ? "; …" : ""}`,
  ]);
}
