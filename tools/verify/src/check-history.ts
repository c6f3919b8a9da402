import type { History } from "./history/history.ts";
import { Timeline } from "./history/timeline.ts";
import { checkAcknowledged } from "./validators/acknowledged.ts";
import { checkAtomic } from "./validators/atomic.ts";
import { checkBookmarkable } from "./validators/bookmarkable.ts";
import { checkCancels } from "./validators/cancels.ts";
import { checkConvergence } from "./validators/convergence.ts";
import { checkCreation } from "./validators/creation.ts";
import { checkFiltered } from "./validators/filtered.ts";
import { checkHeaders } from "./validators/headers.ts";
import { checkLeaseBounds } from "./validators/lease-bounds.ts";
import { checkLinearizable } from "./validators/linearizable.ts";
import { checkOrdered } from "./validators/ordered.ts";
import { checkPermitted } from "./validators/permitted.ts";
import { checkPreviousValue } from "./validators/previous-value.ts";
import { checkReliable } from "./validators/reliable.ts";
import { checkRevisionOrder } from "./validators/revision-order.ts";
import { checkSerializableOrder } from "./validators/serializable-order.ts";
import { checkTrueEvents } from "./validators/true-events.ts";
import { checkUnique } from "./validators/unique.ts";
import type { Violation } from "./validators/violation.ts";

/** What a history came to. */
export interface Findings {
  readonly violations: readonly Violation[];
  readonly search: {
    readonly calls: number;
    readonly components: number;
    /** Sets of keys about which the search says nothing. */
    readonly gaveUp: readonly string[];
  };
}

/** Holds a history to every promise. @param maxSteps of the search for an order, for each set of keys */
export function checkHistory(history: History, maxSteps?: number): Findings {
  const timeline = new Timeline(history.reference);
  const { violations, ...search } = checkLinearizable(history, timeline, maxSteps);
  const ofTime = [checkAcknowledged, checkReliable, checkPreviousValue, checkCreation, checkTrueEvents];
  const ofItself = [checkRevisionOrder, checkSerializableOrder, checkOrdered, checkUnique, checkAtomic];
  return {
    violations: [
      ...violations,
      ...ofItself.flatMap((check) => check(history)),
      ...ofTime.flatMap((check) => check(history, timeline)),
      ...[checkBookmarkable, checkFiltered, checkHeaders, checkCancels].flatMap((check) => check(history)),
      ...checkConvergence(history, timeline),
      ...checkLeaseBounds(history, timeline),
      ...checkPermitted(history),
    ],
    search,
  };
}
