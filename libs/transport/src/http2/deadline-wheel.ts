/** Something that ends at a moment. The links belong to the wheel. */
export interface Expirable {
  /** performance.now() at which it ends. */
  readonly deadlineAt: number | undefined;
  previousDue: Expirable | undefined;
  nextDue: Expirable | undefined;
  onDeadline(): void;
}

const SLOT_MS = 8;
const SLOTS = 1024;

/**
 * Deadlines of all calls of the process. Every call has its own, nearly all are cancelled, and so each must cost
 * next to nothing: a hashed wheel of linked lists, with one timer that sleeps until the next slot that is not empty.
 * A deadline is noticed up to 8 ms late, never early.
 */
export class DeadlineWheel {
  /** Heads of rings: an empty slot's head is linked to itself. */
  readonly #slots: Expirable[] = Array.from({ length: SLOTS }, createHead);
  #size = 0;
  #timer: NodeJS.Timeout | undefined = undefined;
  /** Absolute number of the slot that the timer waits for. */
  #wakeSlot = 0;
  /** Absolute number of the last slot that was looked at. */
  #doneSlot = 0;

  /** Enters an item that is in no wheel. */
  add(item: Expirable): void {
    if (item.deadlineAt === undefined) return;
    const isAsleep = this.#timer === undefined;
    if (isAsleep) this.#doneSlot = Math.floor(performance.now() / SLOT_MS) - 1;
    // What is over already goes into the next slot: its own would come round only after a whole turn of the wheel.
    const slot = Math.max(slotOf(item.deadlineAt), this.#doneSlot + 1);
    const head = this.#headOf(slot);
    const last = head.previousDue ?? head;
    item.previousDue = last;
    item.nextDue = head;
    last.nextDue = item;
    head.previousDue = item;
    this.#size++;
    if (isAsleep) {
      this.#sleepUntil(slot);
    } else if (slot < this.#wakeSlot) {
      clearTimeout(this.#timer);
      this.#sleepUntil(slot);
    }
  }

  /** Takes an item out, if it is in. */
  delete(item: Expirable): void {
    if (!this.#unlink(item) || this.#size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #unlink(item: Expirable): boolean {
    const { previousDue, nextDue } = item;
    if (previousDue === undefined || nextDue === undefined) return false;
    previousDue.nextDue = nextDue;
    nextDue.previousDue = previousDue;
    item.previousDue = undefined;
    item.nextDue = undefined;
    this.#size--;
    return true;
  }

  #headOf(slot: number): Expirable {
    return this.#slots[slot % SLOTS] as Expirable;
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
      const head = this.#headOf(slot);
      for (let item = head.nextDue; item !== undefined && item !== head; item = item.nextDue) {
        if (item.deadlineAt !== undefined && slotOf(item.deadlineAt) <= nowSlot) due.push(item);
      }
    }
    this.#doneSlot = nowSlot;
    this.#timer = undefined;
    for (const item of due) this.#unlink(item);
    if (this.#size > 0) this.#sleepUntil(this.#nextSlot());
    for (const item of due) item.onDeadline();
  }

  #nextSlot(): number {
    for (let slot = this.#doneSlot + 1; slot < this.#doneSlot + SLOTS; slot++) {
      const head = this.#headOf(slot);
      if (head.nextDue !== head) return slot;
    }
    return this.#doneSlot + SLOTS;
  }
}

function createHead(): Expirable {
  const head: Expirable = {
    deadlineAt: undefined,
    previousDue: undefined,
    nextDue: undefined,
    onDeadline: () => {},
  };
  head.previousDue = head;
  head.nextDue = head;
  return head;
}

/** The first slot that begins at or after the moment: what is due in it is not early. */
function slotOf(deadlineAt: number): number {
  return Math.ceil(deadlineAt / SLOT_MS);
}

/** The wheel of the process. */
export const deadlines: DeadlineWheel = new DeadlineWheel();
