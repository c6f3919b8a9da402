import type { Clock } from "@etcd-edge/runtime";

/** Waits; an abort ends the wait early. Never rejects: look at the signal afterwards. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) return Promise.resolve();
  const finish = (): void => {
    timer.stop();
    signal.removeEventListener("abort", finish);
    resolve();
  };
  const timer = clock.setTimer(Math.max(0, delayMs), finish);
  signal.addEventListener("abort", finish);
  return promise;
}
