/** Something that wants to look at the clock now and then. */
export interface Ticking {
  /** @param now performance.now() */
  tick(now: number): void;
}

/**
 * One timer for all connections of a server or channel: timeouts of seconds do not need a timer each. Runs while
 * there is anything to tick, and does not keep the process alive.
 */
export class Heartbeat {
  readonly #members = new Set<Ticking>();
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | undefined = undefined;

  /** @param shortestTimeoutMs the shortest timeout that is to be noticed, within a quarter of it. */
  constructor(shortestTimeoutMs: number) {
    this.#intervalMs = Math.max(5, Math.min(1000, shortestTimeoutMs / 4));
  }

  add(member: Ticking): void {
    this.#members.add(member);
    if (this.#timer !== undefined) return;
    // Timers come before sockets in a turn of the loop. Of a process that was held up (stopped, swapped, starved) what came
    // meanwhile is read first: it may be the very sign of life that is looked for.
    this.#timer = setInterval(() => setImmediate(this.#tick), this.#intervalMs);
    this.#timer.unref();
  }

  delete(member: Ticking): void {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  readonly #tick = (): void => {
    const now = performance.now();
    for (const member of this.#members) member.tick(now);
  };
}
