import { type ChangeEvent, holds } from "../history/stored.ts";
import type { Change, Timeline } from "../history/timeline.ts";
import { isWanted, type WatchRecord } from "../history/watch-record.ts";

/** The first revision that a watch owes, or nothing while it has not been created. */
export function firstOwed(watch: WatchRecord): bigint | undefined {
  if (watch.request.startRevision > 0n) return watch.request.startRevision;
  const created = watch.messages.find((message) => message.t === "created");
  return created === undefined ? undefined : created.revision + 1n;
}

/**
 * The last revision by which a watch has spoken: everything it owes up to there it must have told. A progress answer
 * counts where it came behind `created`; a revision of which only fragments came does not.
 */
export function spokenUpTo(watch: WatchRecord): bigint {
  let upto = 0n;
  for (const message of watch.messages) {
    if (message.t === "progress" && message.revision > upto) upto = message.revision;
    if (message.t !== "events") continue;
    const last = message.events.at(-1)?.kv.modRevision ?? 0n;
    const whole = message.isFragment ? last - 1n : last;
    if (whole > upto) upto = whole;
  }
  return upto;
}

/** What a watch of this request is told of a change. */
function wantedOf({ request }: WatchRecord, change: Change): readonly ChangeEvent[] {
  return change.events.filter(({ kind, kv }) => isWanted(request, kind) && holds(request.span, kv.key));
}

/** Every event that a watch owes in (after, upto]; nothing of what the reference did not see. */
export function owedBetween(
  watch: WatchRecord,
  timeline: Timeline,
  after: bigint,
  upto: bigint,
): readonly ChangeEvent[] {
  return timeline
    .between(after, upto)
    .filter(({ revision }) => timeline.isComplete(revision - 1n, revision))
    .flatMap((change) => wantedOf(watch, change));
}
