import type { History } from "../history/history.ts";
import { eventsOf, type WatchMessage, type WatchRecord } from "../history/watch-record.ts";
import { firstOwed, spokenUpTo } from "./coverage.ts";
import { isDenial } from "./permitted.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** How long the answer to a cancel may take, in milliseconds. A run is on a machine that may be busy. */
const answerMs = 20_000;

/**
 * A cancel that was asked for is answered, once, and is the end. One that nobody asked for says why, and "compacted" is
 * true: the watch still needed a revision below the one it names, and somebody had compacted up to there.
 */
export function checkCancels(history: History): readonly Violation[] {
  return history.watches.flatMap((watch) => {
    const found = findWrong(history, watch);
    if (found === undefined) return [];
    return [watchViolation("cancels", watch, found.text, found.shown)];
  });
}

interface Found {
  readonly text: string;
  readonly shown: readonly WatchMessage[];
}

function findWrong(history: History, watch: WatchRecord): Found | undefined {
  const index = watch.messages.findIndex((message) => message.t === "canceled");
  const canceled = watch.messages[index];
  if (canceled?.t !== "canceled") return findUnanswered(history, watch);
  const wasAsked = watch.cancelAskedAt !== undefined;
  // Progress of the stream does not concern it, and a client may ask for the cancel of what has just been canceled.
  const late = watch.messages
    .slice(index + 1)
    .find(({ t }) => t === "created" || t === "events" || (t === "canceled" && !wasAsked));
  if (late !== undefined) return { text: `${late.t} after it was canceled`, shown: [canceled, late] };
  if (wasAsked) return undefined;
  // Whether that is right `permitted` says.
  if (watch.user !== undefined && isDenial(canceled.reason)) return undefined;
  if (canceled.compactRevision > 0n) return findSpurious(history, watch, canceled);
  const isDisturbed = history.disturbances.some(
    ([from, to]) => canceled.at >= from && canceled.at <= to + answerMs,
  );
  if (isDisturbed && canceled.reason !== "") return undefined;
  return { text: `canceled, and nobody asked: ${JSON.stringify(canceled.reason)}`, shown: [canceled] };
}

function findUnanswered(history: History, watch: WatchRecord): Found | undefined {
  const { cancelAskedAt } = watch;
  const last = watch.messages.at(-1);
  if (cancelAskedAt === undefined || last?.t === "lost") return undefined;
  if (!watch.messages.some((message) => message.t === "created")) return undefined;
  const isDisturbed = history.disturbances.some(([, to]) => cancelAskedAt <= to + answerMs);
  const hadTime = history.endedAt - cancelAskedAt > (isDisturbed ? 3 : 1) * answerMs;
  if (!hadTime) return undefined;
  return {
    text: `a cancel asked for at ${cancelAskedAt.toFixed(1)} ms is not answered`,
    shown: last === undefined ? [] : [last],
  };
}

function findSpurious(
  history: History,
  watch: WatchRecord,
  canceled: WatchMessage & { t: "canceled" },
): Found | undefined {
  const { compactRevision } = canceled;
  let highest = 0n;
  for (const { askedAt, revision } of history.compactions) {
    if (askedAt <= canceled.at && revision > highest) highest = revision;
  }
  if (compactRevision > highest) {
    return { text: `canceled as compacted up to ${compactRevision}; only ${highest} was`, shown: [canceled] };
  }
  const first = firstOwed(watch) ?? 0n;
  const spoken = eventsOf(watch).length > 0 || watch.messages.some((one) => one.t === "progress");
  const next = spoken && spokenUpTo(watch) >= first ? spokenUpTo(watch) + 1n : first;
  if (next < compactRevision) return undefined;
  return {
    text: `canceled as compacted up to ${compactRevision}, but its next revision was ${next}`,
    shown: [canceled],
  };
}
