import type { History } from "./history.ts";
import { type ChangeEvent, holds, type KeySpan, type Stored } from "./stored.ts";

/** The changes of one revision, and when the run first saw them. */
export interface Change {
  readonly revision: bigint;
  readonly events: readonly ChangeEvent[];
  readonly seenAt: number;
}

/** The store of a run as the reference saw it: every revision, and every key at every revision. */
export class Timeline {
  readonly changes: readonly Change[];
  readonly #from: bigint;
  readonly #gaps: History["reference"]["gaps"];
  readonly #byRevision: ReadonlyMap<bigint, Change>;
  /** By key, in order. */
  readonly #byKey = new Map<string, ChangeEvent[]>();

  constructor(reference: History["reference"]) {
    const byRevision = new Map<bigint, Change>();
    for (const { revision, events, at } of reference.changes) {
      if (!byRevision.has(revision)) byRevision.set(revision, { revision, events, seenAt: at });
    }
    this.#byRevision = byRevision;
    this.#from = reference.from;
    this.#gaps = reference.gaps;
    this.changes = [...byRevision.values()].sort((a, b) => (a.revision < b.revision ? -1 : 1));
    for (const { events } of this.changes) {
      for (const event of events) {
        const list = this.#byKey.get(event.kv.key) ?? [];
        list.push(event);
        this.#byKey.set(event.kv.key, list);
      }
    }
  }

  /** The last revision with a change of this run's. */
  get head(): bigint {
    return this.changes.at(-1)?.revision ?? this.#from;
  }

  at(revision: bigint): Change | undefined {
    return this.#byRevision.get(revision);
  }

  /** Whether the reference saw everything in (after, upto]; from before it began there is nothing of this run's. */
  isComplete(after: bigint, upto: bigint): boolean {
    return this.#gaps.every((gap) => gap.upto <= after || gap.after >= upto);
  }

  get hasGaps(): boolean {
    return this.#gaps.length > 0;
  }

  /** The changes in (after, upto], in order. */
  between(after: bigint, upto: bigint): readonly Change[] {
    const start = firstAbove(this.changes, after, (change) => change.revision);
    const end = firstAbove(this.changes, upto, (change) => change.revision);
    return this.changes.slice(start, end);
  }

  /** What a key was at a revision; nothing where it was not there. */
  valueAt(key: string, revision: bigint): Stored | undefined {
    const events = this.#byKey.get(key) ?? [];
    const event = events[firstAbove(events, revision, ({ kv }) => kv.modRevision) - 1];
    return event?.kind === "put" ? event.kv : undefined;
  }

  /** What a span held at a revision, in the order of keys. */
  rangeAt(span: KeySpan, revision: bigint): readonly Stored[] {
    const keys = [...this.#byKey.keys()].filter((key) => holds(span, key)).sort();
    return keys.flatMap((key) => this.valueAt(key, revision) ?? []);
  }
}

/** How many of a sorted list are no higher than `limit`. */
function firstAbove<T>(list: readonly T[], limit: bigint, revisionOf: (item: T) => bigint): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = list[middle];
    if (item !== undefined && revisionOf(item) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
