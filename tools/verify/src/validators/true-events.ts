import type { History } from "../history/history.ts";
import type { ChangeEvent } from "../history/stored.ts";
import type { Timeline } from "../history/timeline.ts";
import { isEqual } from "./acknowledged.ts";
import { describeEvent, describeStored } from "./describe.ts";
import type { Violation } from "./violation.ts";
import { watchViolation } from "./watch-evidence.ts";

/** What a watch tells has happened, at that revision and just so. */
export function checkTrueEvents({ watches }: History, timeline: Timeline): readonly Violation[] {
  const violations: Violation[] = [];
  for (const watch of watches) {
    for (const message of watch.messages) {
      if (message.t !== "events") continue;
      for (const event of message.events) {
        const wrong = findWrong(event, timeline);
        if (wrong !== undefined) {
          violations.push(watchViolation("true", watch, `${describeEvent(event)} ${wrong}`, [message]));
        }
      }
    }
  }
  return violations;
}

function findWrong({ kind, kv }: ChangeEvent, timeline: Timeline): string | undefined {
  if (!timeline.isComplete(kv.modRevision - 1n, kv.modRevision)) return undefined;
  const real = timeline.at(kv.modRevision)?.events.find((one) => one.kv.key === kv.key);
  if (real === undefined) return "never happened";
  if (real.kind !== kind) return `was a ${real.kind}`;
  if (kind === "delete" || isEqual(real.kv, kv)) return undefined;
  return `is ${describeStored(kv)}; the store had ${describeStored(real.kv)}`;
}
