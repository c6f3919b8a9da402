/** Answers the parent's questions: the first message is the port, then memory in bytes whenever asked. */
export function reportToParent(port: number): void {
  process.on("message", () => {
    // Twice: what the first run frees may hold buffers that only the second can.
    globalThis.gc?.();
    globalThis.gc?.();
    process.send?.({ rss: process.memoryUsage().rss });
  });
  process.send?.({ port });
}

/** What each server answers every call with: about what a small Range comes to. */
export const ANSWER_BYTES = 64;
