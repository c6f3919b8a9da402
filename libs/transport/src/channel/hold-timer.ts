import { deadlines, type Expirable } from "../http2/deadline-wheel.ts";

/** Ends the wait of one call at a moment, unless it is stopped before. */
export class HoldTimer implements Expirable {
  deadlineAt: number | undefined = undefined;
  previousDue: Expirable | undefined = undefined;
  nextDue: Expirable | undefined = undefined;
  readonly onDeadline: () => void;

  constructor(onDeadline: () => void) {
    this.onDeadline = onDeadline;
  }

  /** Sets or moves the moment. @param at performance.now() */
  endAt(at: number): void {
    deadlines.delete(this);
    this.deadlineAt = at;
    deadlines.add(this);
  }

  stop(): void {
    deadlines.delete(this);
  }
}
