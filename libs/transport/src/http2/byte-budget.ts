/** Counts bytes held in memory for peers, of one connection and, through its parent, of all of them together. */
export class ByteBudget {
  readonly #limit: number;
  readonly #parent: ByteBudget | undefined;
  #used = 0;

  constructor(limit: number, parent?: ByteBudget) {
    this.#limit = limit;
    this.#parent = parent;
  }

  /** Bytes held now. */
  get used(): number {
    return this.#used;
  }

  /** More is held than the limit, here or above. */
  get isExceeded(): boolean {
    return this.#used > this.#limit || (this.#parent?.isExceeded ?? false);
  }

  add(bytes: number): void {
    this.#used += bytes;
    this.#parent?.add(bytes);
  }

  remove(bytes: number): void {
    this.#used -= bytes;
    this.#parent?.remove(bytes);
  }
}
