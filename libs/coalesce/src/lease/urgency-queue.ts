/** A binary heap: what must go first comes out first; equals in the order they came. */
export class UrgencyQueue<T> {
  readonly #heap: { readonly item: T; readonly rank: number; readonly turn: number }[] = [];
  #turn = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** @param rank the lower the sooner */
  push(item: T, rank: number): void {
    const heap = this.#heap;
    heap.push({ item, rank, turn: this.#turn++ });
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  peek(): T | undefined {
    return this.#heap[0]?.item;
  }

  pop(): T | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || this.#heap.length === 0) return first?.item;
    this.#heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      const child = this.#isBefore(left + 1, left) ? left + 1 : left;
      if (!this.#isBefore(child, i)) break;
      this.#swap(i, child);
      i = child;
    }
    return first.item;
  }

  #isBefore(i: number, j: number): boolean {
    const a = this.#heap[i];
    const b = this.#heap[j];
    if (a === undefined || b === undefined) return a !== undefined;
    return a.rank === b.rank ? a.turn < b.turn : a.rank < b.rank;
  }

  #swap(i: number, j: number): void {
    const a = this.#heap[i];
    const b = this.#heap[j];
    if (a === undefined || b === undefined) return;
    this.#heap[i] = b;
    this.#heap[j] = a;
  }
}
