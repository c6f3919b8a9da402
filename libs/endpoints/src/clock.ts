/** Time as this library needs it, so that tests can move it by hand. */
export type Clock = {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Calls `fire` once after `delayMs`; the answer cancels it. A pending timer does not keep the process alive. */
  setTimer(delayMs: number, fire: () => void): () => void;
};

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};
