/** Memory of a process, in bytes. */
export interface Memory {
  /** As the system sees it: what the process once needed at most, more or less. */
  readonly rss: number;
  /** Objects and buffers that are in use. */
  readonly live: number;
}

/** Memory of this process after garbage collection (`--expose-gc`). */
export function readMemory(): Memory {
  // Twice: what the first run frees may hold buffers that only the second can.
  globalThis.gc?.();
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, live: heapUsed + external };
}
