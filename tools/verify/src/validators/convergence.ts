import type { History } from "../history/history.ts";
import type { Timeline } from "../history/timeline.ts";
import { eventsOf } from "../history/watch-record.ts";
import { firstOwed, owedBetween, spokenUpTo } from "./coverage.ts";
import { describeEvent } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** Every watch that is there to the end has got all of it by then. */
export function checkConvergence({ watches }: History, timeline: Timeline): readonly Violation[] {
  return watches.flatMap((watch) => {
    if (!watch.isOpenAtEnd) return [];
    const first = firstOwed(watch);
    const last = watch.messages.slice(-1);
    if (first === undefined) return [watchViolation("convergence", watch, "was never created", last)];
    const upto = spokenUpTo(watch);
    const from = upto >= first ? upto : first - 1n;
    const told = new Set(eventsOf(watch).map(({ kv }) => `${kv.modRevision} ${kv.key}`));
    const missing = owedBetween(watch, timeline, from, timeline.head).filter(
      ({ kv }) => !told.has(`${kv.modRevision} ${kv.key}`),
    );
    const [next] = missing;
    if (next === undefined) return [];
    const text = `stays at ${from}: ${missing.length} events never came, the first is ${describeEvent(next)}`;
    return [watchViolation("convergence", watch, text, last)];
  });
}
