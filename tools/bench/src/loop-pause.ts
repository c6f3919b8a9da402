import { monitorEventLoopDelay } from "node:perf_hooks";

const NANOSECONDS_PER_MS = 1e6;

/**
 * Watches the event loop of this process. A process that got no processor, or was stopped, is late for everything: that
 * must be told apart from a connection that hangs.
 *
 * @returns asks for the longest pause since it was last asked, in milliseconds
 */
export function watchLoop(): () => number {
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  return () => {
    const longest = delays.max / NANOSECONDS_PER_MS;
    delays.reset();
    return Math.round(longest);
  };
}
