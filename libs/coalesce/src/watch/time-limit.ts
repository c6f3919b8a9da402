import type { Clock, Timer } from "../ports.ts";

/** Something that may take so long and no longer. */
export interface Limited {
  /** It is done: without effect once the time is over. */
  done(): void;
}

/** One limit of time for many things, in the order in which they begin: one timer does for all. */
export class TimeLimit {
  readonly #clock: Clock;
  readonly #limitMs: number;
  #waiting: Waiting[] = [];
  #open = 0;
  #timer: Timer | undefined = undefined;

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
  }

  /** Begins to count for one thing. @param onDue called if it is not done in time */
  begin(onDue: () => void): Limited {
    const waiting = new Waiting(this, this.#clock.nowMs() + this.#limitMs, onDue);
    this.#waiting.push(waiting);
    this.#open++;
    this.#timer ??= this.#armed(this.#limitMs);
    return waiting;
  }

  /** Called by a thing that is done. */
  settle(): void {
    this.#open--;
    if (this.#open > 0) return;
    this.#timer?.stop();
    this.#timer = undefined;
    this.#waiting = [];
  }

  #armed(delayMs: number): Timer {
    return this.#clock.setTimer(delayMs, () => this.#look());
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.nowMs();
    const open = this.#waiting.filter((waiting) => waiting.isOpen);
    const due = open.filter(({ dueAt }) => dueAt <= now);
    this.#waiting = open.slice(due.length);
    const [first] = this.#waiting;
    if (first !== undefined) this.#timer = this.#armed(Math.max(1, first.dueAt - now));
    for (const waiting of due) waiting.expire();
  }
}

class Waiting implements Limited {
  readonly dueAt: number;
  readonly #limit: TimeLimit;
  #onDue: (() => void) | undefined;

  constructor(limit: TimeLimit, dueAt: number, onDue: () => void) {
    this.#limit = limit;
    this.dueAt = dueAt;
    this.#onDue = onDue;
  }

  get isOpen(): boolean {
    return this.#onDue !== undefined;
  }

  done(): void {
    if (this.#onDue === undefined) return;
    this.#onDue = undefined;
    this.#limit.settle();
  }

  expire(): void {
    const onDue = this.#onDue;
    this.done();
    onDue?.();
  }
}
