import type { RangeHistory } from "./range-history.ts";
import type { OpenWatch } from "./watch-call.ts";

/** What all watchers have found together. */
export interface Findings {
  events: number;
  /** Events that were not the next one of their range. */
  wrong: number;
  resumes: number;
  /** Since somebody last looked: how late an event was at most, in milliseconds. */
  worstMs: number;
  readonly texts: string[];
}

const againMs = 100;

/** A client that watches a range and goes on where it was when its watch ends, as clients do. */
export class ResumingWatcher {
  readonly #range: string;
  readonly #open: OpenWatch;
  readonly #history: RangeHistory;
  readonly #findings: Findings;
  readonly #created = Promise.withResolvers<void>();
  /** Of the events of its range: which comes next. */
  #index: number | undefined = undefined;
  #last = 0n;
  #leave: (() => void) | undefined = undefined;
  #isOver = false;
  /** Whether it has lost its door: until it has caught up what comes late is not counted. */
  #hasLost = false;

  constructor(range: string, open: OpenWatch, history: RangeHistory, findings: Findings) {
    this.#range = range;
    this.#open = open;
    this.#history = history;
    this.#findings = findings;
    this.#watch();
  }

  /** Settles once it is there for the first time. */
  get created(): Promise<void> {
    return this.#created.promise;
  }

  /** Events that have not come. */
  get missing(): number {
    const events = this.#events;
    return this.#index === undefined ? events.length : events.length - this.#index;
  }

  /** Its door stands still. */
  excuse(): void {
    this.#hasLost = true;
  }

  close(): void {
    this.#isOver = true;
    this.#leave?.();
  }

  get #events(): readonly bigint[] {
    return this.#history.events.get(this.#range) ?? [];
  }

  #watch(): void {
    const start = this.#last === 0n ? 0n : this.#last + 1n;
    this.#leave = this.#open(this.#range, start, {
      onCreated: (revision) => {
        if (this.#last === 0n) this.#last = revision;
        this.#created.resolve();
      },
      onEvents: (revisions) => {
        for (const revision of revisions) this.#take(revision);
      },
      onEnd: () => {
        this.#hasLost = true;
        setTimeout(() => this.#again(), againMs);
      },
    });
  }

  #again(): void {
    if (this.#isOver) return;
    this.#findings.resumes++;
    this.#watch();
  }

  #take(revision: bigint): void {
    const events = this.#events;
    this.#index ??= events.findIndex((one) => one > this.#last);
    if (this.#index < 0) this.#index = events.length;
    // The answer to the put may be behind its event: then nobody knows the revision yet.
    const expected = events[this.#index];
    const isNext = expected === undefined ? revision > (events.at(-1) ?? 0n) : expected === revision;
    this.#findings.events++;
    if (!isNext) {
      this.#findings.wrong++;
      if (this.#findings.texts.length < 10)
        this.#findings.texts.push(`${this.#range}: ${revision} where ${expected} was next`);
    }
    this.#index++;
    this.#last = revision;
    if (!this.#hasLost) {
      const lateMs = performance.now() - this.#history.sentAt(revision);
      this.#findings.worstMs = Math.max(this.#findings.worstMs, lateMs);
    }
    if (this.missing <= 0) this.#hasLost = false;
  }
}
