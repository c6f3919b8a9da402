const memoryMs = 60_000;
const maxSuspects = 1_000;
/** So many connections lost with the same request in the air are no accident. */
const maxLosses = 2;

/**
 * Requests that were in the air when a connection to etcd was lost, for a request may be what etcd died of: one that was
 * there twice within a minute is refused for that minute (rule 13). An answer clears it of all suspicion.
 */
export class Suspects {
  readonly #losses = new Map<string, number[]>();

  noteLoss(key: string, nowMs: number): void {
    const losses = this.#recent(key, nowMs);
    losses.push(nowMs);
    this.#losses.delete(key);
    this.#losses.set(key, losses);
    if (this.#losses.size <= maxSuspects) return;
    const [oldest] = this.#losses.keys();
    if (oldest !== undefined) this.#losses.delete(oldest);
  }

  noteAnswer(key: string): void {
    if (this.#losses.size > 0) this.#losses.delete(key);
  }

  isRefused(key: string, nowMs: number): boolean {
    return this.#losses.size > 0 && this.#recent(key, nowMs).length >= maxLosses;
  }

  #recent(key: string, nowMs: number): number[] {
    return (this.#losses.get(key) ?? []).filter((at) => nowMs - at < memoryMs);
  }
}
