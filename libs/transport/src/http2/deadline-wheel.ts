/** Something that ends at a moment. */
export interface Expirable {
  /** performance.now() at which it ends. */
  readonly deadlineAt: number | undefined;
  onDeadline(): void;
}

const SLOT_MS = 8;
const SLOTS = 1024;

/**
 * Deadlines of all calls of the process. Every call has its own, nearly all are cancelled, and so each must cost
 * next to nothing: a hashed wheel of sets, with one timer that sleeps until the next slot that is not empty.
 * A deadline is noticed up to 8 ms late, never early.
 */
export class DeadlineWheel {
  readonly #slots: Set<Expirable>[] = Array.from({ length: SLOTS }, () => new Set());
  #size = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  /** Absolute number of the slot that the timer waits for. */
  #wakeSlot = 0;
  /** Absolute number of the last slot that was looked at. */
  #doneSlot = 0;

  add(item: Expirable): void {
    if (item.deadlineAt === undefined) return;
    const slot = slotOf(item.deadlineAt);
    this.#setOf(slot).add(item);
    this.#size++;
    if (this.#timer === undefined) {
      this.#doneSlot = Math.floor(performance.now() / SLOT_MS) - 1;
      this.#sleepUntil(slot);
    } else if (slot < this.#wakeSlot) {
      clearTimeout(this.#timer);
      this.#sleepUntil(slot);
    }
  }

  delete(item: Expirable): void {
    if (item.deadlineAt === undefined || !this.#setOf(slotOf(item.deadlineAt)).delete(item)) return;
    this.#size--;
    if (this.#size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #setOf(slot: number): Set<Expirable> {
    return this.#slots[slot % SLOTS] as Set<Expirable>;
  }

  #sleepUntil(slot: number): void {
    // A wait of at most one turn of the wheel, so that no slot is passed twice unseen.
    const now = performance.now();
    this.#wakeSlot = Math.max(Math.min(slot, this.#doneSlot + SLOTS), this.#doneSlot + 1);
    this.#timer = setTimeout(() => this.#turn(), Math.max(1, Math.ceil(this.#wakeSlot * SLOT_MS - now)));
  }

  #turn(): void {
    const now = performance.now();
    const nowSlot = Math.floor(now / SLOT_MS);
    const due: Expirable[] = [];
    for (let slot = Math.max(this.#doneSlot + 1, nowSlot - SLOTS + 1); slot <= nowSlot; slot++) {
      for (const item of this.#setOf(slot)) {
        if (item.deadlineAt !== undefined && slotOf(item.deadlineAt) <= nowSlot) due.push(item);
      }
    }
    this.#doneSlot = nowSlot;
    this.#timer = undefined;
    for (const item of due) this.#remove(item);
    if (this.#size > 0) this.#sleepUntil(this.#nextSlot());
    for (const item of due) item.onDeadline();
  }

  #remove(item: Expirable): void {
    if (item.deadlineAt !== undefined && this.#setOf(slotOf(item.deadlineAt)).delete(item)) this.#size--;
  }

  #nextSlot(): number {
    for (let slot = this.#doneSlot + 1; slot < this.#doneSlot + SLOTS; slot++) {
      if (this.#setOf(slot).size > 0) return slot;
    }
    return this.#doneSlot + SLOTS;
  }
}

/** The first slot that begins at or after the moment: what is due in it is not early. */
function slotOf(deadlineAt: number): number {
  return Math.ceil(deadlineAt / SLOT_MS);
}

/** The wheel of the process. */
export const deadlines: DeadlineWheel = new DeadlineWheel();
