import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 5;

/**
 * Waits until a process that was sent SIGSTOP has stopped: the signal is on its way for a moment, in which a thread may
 * still answer. Linux: proc_pid_stat(5), the state of every thread.
 */
export async function allStopped(pid: number): Promise<void> {
  for (;;) {
    const threads = await readdir(`/proc/${pid}/task`);
    const states = await Promise.all(threads.map((thread) => stateOf(pid, thread)));
    if (states.every((state) => state === undefined || state === "T")) return;
    await delay(pollMs);
  }
}

/** Nothing for a thread that has ended meanwhile. */
async function stateOf(pid: number, thread: string): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => undefined);
  // Behind the name, which is in parentheses and may hold anything.
  return stat?.slice(stat.lastIndexOf(")") + 2)[0];
}
