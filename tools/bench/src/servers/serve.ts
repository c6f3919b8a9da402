import { readMemory } from "../memory.ts";

/** Answers the parent's questions: the first message is the port, then memory whenever asked. */
export function reportToParent(port: number): void {
  process.on("message", () => process.send?.(readMemory()));
  process.send?.({ port });
}

/** What each server answers every call with: about what a small Range comes to. */
export const ANSWER_BYTES = 64;
