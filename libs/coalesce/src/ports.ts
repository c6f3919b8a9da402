/** Time, as the core sees it: monotonic milliseconds and one-shot timers. `systemClock` of libs/runtime is one. */
export interface Clock {
  nowMs(): number;
  setTimer(delayMs: number, onDue: () => void): Timer;
}

/** A timer that has not fired yet. */
export interface Timer {
  /** Without effect once it has fired. */
  stop(): void;
}
