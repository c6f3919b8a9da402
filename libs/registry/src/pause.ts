import type { Clock } from "@etcd-edge/runtime";

/** Waits; an abort ends the wait early. Never rejects: look at the signal afterwards. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || delayMs <= 0) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const finish = (): void => {
    timer.stop();
    signal.removeEventListener("abort", finish);
    resolve();
  };
  const timer = clock.setTimer(delayMs, finish);
  signal.addEventListener("abort", finish);
  return promise;
}
