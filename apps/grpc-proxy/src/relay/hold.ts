import type { RelayContext } from "./relay.ts";

/**
 * Waits for a change of who is upstream, until a point in time (rule 42). Settles once; stopping it settles nothing.
 * @returns how to stop
 */
export function holdForUpstream(
  context: Pick<RelayContext, "balancer" | "createTimer">,
  untilMs: number,
  settle: (outcome: "changed" | "over") => void,
): () => void {
  const stop = (): void => {
    unsubscribe();
    stopTimer();
  };
  const finish = (outcome: "changed" | "over"): void => {
    stop();
    settle(outcome);
  };
  const unsubscribe = context.balancer.onChange(() => finish("changed"));
  const stopTimer = context.createTimer(Math.max(0, untilMs - performance.now()), () => finish("over"));
  return stop;
}
