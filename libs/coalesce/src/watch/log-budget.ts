import type { EventLog } from "./event-log.ts";

/**
 * Bounds what all logs of a process hold together (`--watch-log-bytes`), and each by itself. The log that has been quiet
 * for longest is emptied first: who has fallen off catches up from etcd.
 */
export class LogBudget {
  readonly maxTotalBytes: number;
  readonly maxLogBytes: number;
  /** Sizes as last counted, the quietest log first. */
  readonly #sizes = new Map<EventLog, number>();
  #total = 0;

  constructor(limits: { readonly maxTotalBytes: number; readonly maxLogBytes: number }) {
    this.maxTotalBytes = limits.maxTotalBytes;
    this.maxLogBytes = limits.maxLogBytes;
  }

  get totalBytes(): number {
    return this.#total;
  }

  /** A log has grown: trims it to its own bound, and others to the common one. */
  grew(log: EventLog): void {
    log.trim(this.maxLogBytes);
    this.#count(log);
    for (const quiet of this.#sizes.keys()) {
      if (this.#total <= this.maxTotalBytes) break;
      // The one that grew is the last in the list, and gives only what is over.
      quiet.trim(quiet === log ? Math.max(0, quiet.bytes - (this.#total - this.maxTotalBytes)) : 0);
      this.#recount(quiet);
    }
  }

  /** A log is gone. */
  forget(log: EventLog): void {
    this.#total -= this.#sizes.get(log) ?? 0;
    this.#sizes.delete(log);
  }

  #count(log: EventLog): void {
    this.forget(log);
    this.#sizes.set(log, log.bytes);
    this.#total += log.bytes;
  }

  #recount(log: EventLog): void {
    this.#total += log.bytes - (this.#sizes.get(log) ?? 0);
    this.#sizes.set(log, log.bytes);
  }
}
