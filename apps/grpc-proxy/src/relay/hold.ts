import type { RelayContext } from "./relay.ts";

/**
 * Waits for a change of who is upstream, until a point in time (rule 42). Settles once; stopping it settles nothing.
 * @returns how to stop
 */
export function holdForUpstream(
  context: Pick<RelayContext, "balancer" | "clock">,
  untilMs: number,
  settle: (outcome: "changed" | "over") => void,
): () => void {
  const stop = (): void => {
    unsubscribe();
    timer.stop();
  };
  const finish = (outcome: "changed" | "over"): void => {
    stop();
    settle(outcome);
  };
  const unsubscribe = context.balancer.onChange(() => finish("changed"));
  const timer = context.clock.setTimer(Math.max(0, untilMs - performance.now()), () => finish("over"));
  return stop;
}
