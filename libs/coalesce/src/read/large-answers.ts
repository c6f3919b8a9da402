const largeBytes = 64 * 1024;
const maxKeys = 10_000;

/** Remembers whose last answer was large: such a read does not travel with others (rule 27). */
export class LargeAnswers {
  readonly #keys = new Set<string>();

  has(key: string): boolean {
    return this.#keys.size > 0 && this.#keys.has(key);
  }

  note(key: string, bytes: number): void {
    if (bytes <= largeBytes) {
      if (this.#keys.size > 0) this.#keys.delete(key);
      return;
    }
    this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size <= maxKeys) return;
    const [oldest] = this.#keys;
    if (oldest !== undefined) this.#keys.delete(oldest);
  }
}
