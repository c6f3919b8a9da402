import type { EventView } from "@etcd-edge/proto";

/** Whole revisions: all events of the range above the coverage before, up to and including `upto`. */
export interface Advance {
  readonly events: readonly EventView[];
  readonly upto: bigint;
}

/**
 * The coverage of one upstream watch: how far every event of its range has been handed out. It moves by the last
 * mod_revision of a response, by progress, and by nothing else: an event's header revision says how far the store is, not
 * how far this watch is.
 */
export class Intake {
  #coverage: bigint;
  /** Events of a revision of which more fragments may come (rule 19). */
  #withheld: readonly EventView[] = [];
  #hasCovered = false;

  /** @param coverage what is known already: the watch was asked to start there or one later (rule 5) */
  constructor(coverage: bigint) {
    this.#coverage = coverage;
  }

  get coverage(): bigint {
    return this.#coverage;
  }

  /** Whether the watch has said anything yet that shows it is where it was asked to be. */
  get hasCovered(): boolean {
    return this.#hasCovered;
  }

  /** Takes a response, or a fragment of one. */
  take(events: readonly EventView[], isFragment: boolean): Advance | undefined {
    const all = this.#withheld.length === 0 ? events : [...this.#withheld, ...events];
    const last = all.at(-1)?.modRevision;
    if (last === undefined) return undefined;
    this.#hasCovered = true;
    const upto = isFragment ? last - 1n : last;
    this.#withheld = isFragment ? all.filter((event) => event.modRevision === last) : [];
    return this.#advance(isFragment ? all.filter((event) => event.modRevision < last) : all, upto);
  }

  /** Takes a progress notification that may be trusted. */
  progress(revision: bigint): Advance | undefined {
    this.#hasCovered = true;
    return this.#withheld.length > 0 ? undefined : this.#advance([], revision);
  }

  #advance(events: readonly EventView[], upto: bigint): Advance | undefined {
    if (upto <= this.#coverage) return undefined; // what came before the start that was needed
    const known = this.#coverage;
    this.#coverage = upto;
    const first = events[0];
    return {
      upto,
      events:
        first === undefined || first.modRevision > known
          ? events
          : events.filter((event) => event.modRevision > known),
    };
  }
}
