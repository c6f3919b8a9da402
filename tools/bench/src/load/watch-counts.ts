import { setTimeout as delay } from "node:timers/promises";
import type { Child } from "../child.ts";

/** What a process that watches has seen so far. */
export interface WatchCounts {
  readonly created: number;
  readonly events: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

/** Asks a watching process until it has seen enough, or nothing has come for `patienceMs`. @returns its last answer */
export async function countsThat<T extends WatchCounts>(
  worker: Pick<Child, "ask">,
  isEnough: (counts: T) => boolean,
  patienceMs = 60_000,
): Promise<T> {
  let lastSeen = -1;
  let since = performance.now();
  for (;;) {
    const counts = (await worker.ask({})) as T;
    if (isEnough(counts)) return counts;
    const seen = counts.created + counts.events;
    if (seen !== lastSeen) since = performance.now();
    lastSeen = seen;
    if (performance.now() - since > patienceMs) return counts;
    await delay(50);
  }
}
