/** A timer that can be stopped. Stopping twice, or after it fired, is nothing. */
export type Timer = { stop(): void };

/** Time as this library needs it, so that tests can move it by hand. The runtime's clock fits. */
export type Clock = {
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** Calls `fire` once after `delayMs`. A pending timer does not keep the process alive. */
  setTimer(delayMs: number, fire: () => void): Timer;
};

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return { stop: () => clearTimeout(timer) };
  },
};
