import type { Clock, Timer } from "../src/ports.ts";

/** Time that stands still until it is moved. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly onDue: () => void }>();

  nowMs(): number {
    return this.#now;
  }

  setTimer(delayMs: number, onDue: () => void): Timer {
    const timer = { at: this.#now + delayMs, onDue };
    this.#timers.add(timer);
    return { stop: () => void this.#timers.delete(timer) };
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on, firing what falls due in order. Between two timers promises settle. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.onDue();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets every promise that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
