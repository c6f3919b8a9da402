import { watchLoop } from "../loop-pause.ts";
import { readMemory } from "../memory.ts";

/**
 * Answers the parent's questions: the first message is the port, then, whenever asked, memory, the longest pause of the
 * loop since the last question, and what the server adds.
 */
export function reportToParent(port: number, more: () => object = () => ({})): void {
  const longestPauseMs = watchLoop();
  process.on("message", () => {
    const pauseMs = longestPauseMs();
    process.send?.({ pauseMs, ...more(), ...readMemory() });
  });
  process.send?.({ port });
}

/** What each server answers every call with: about what a small Range comes to. */
export const ANSWER_BYTES = 64;
