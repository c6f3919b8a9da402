import type { RoundControls } from "../driver/run-round.ts";
import type { Stack } from "../stack/start-stack.ts";

/** One kind of disturbance, done once: begins, lasts, and is over when `run` resolves. */
export interface Fault {
  /** Why it cannot be had on this stack, or nothing. */
  readonly impossible?: (stack: Stack) => string | undefined;
  /** One line for `--help`. */
  readonly summary: string;
  /** Absent where it is no disturbance of a history but the end of one, and done between two rounds. */
  run?(stack: Stack, controls: RoundControls): Promise<void>;
}
