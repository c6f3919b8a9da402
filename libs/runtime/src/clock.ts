/** A timer that can be stopped. Stopping twice, or after it fired, is nothing. */
export interface Timer {
  stop(): void;
}

/** Time as code under test sees it. `nowMs` is monotonic and has no epoch; fractions are kept. */
export interface Clock {
  nowMs(): number;
  /** Calls once, after at least `delayMs`. Does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  setTimer: (delayMs, callback) => {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { stop: () => clearTimeout(handle) };
  },
};
