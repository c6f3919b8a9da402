import { Buffer } from "node:buffer";

const SLOTS = 4;
const MAX_BLOCK_BYTES = 512;

interface Slot<T> {
  generation: number;
  length: number;
  readonly bytes: Buffer;
  value: T | undefined;
}

/**
 * Remembers what the last few header blocks of a connection meant, so that a client that repeats a block pays for
 * it once. The same bytes mean something else after the table has moved (RFC 7541, 2.3.3), so an answer counts only
 * under the table generation it was found in (rule 9): another user's credentials must never come out of here.
 */
export class BlockMemo<T> {
  readonly #slots: Slot<T>[] = [];
  #next = 0;

  /** What `block[start, end)` means in this generation, if it was seen in it. */
  get(generation: number, block: Buffer, start: number, end: number): T | undefined {
    for (const slot of this.#slots) {
      if (slot.generation !== generation || slot.length !== end - start) continue;
      if (isEqual(slot.bytes, block, start, end)) return slot.value;
    }
    return undefined;
  }

  /**
   * Remembers a block that was decoded from generation `before` to `after`; one that moved the table is not kept,
   * for it would do something else the next time.
   */
  set(before: number, after: number, block: Buffer, start: number, end: number, value: T): void {
    const length = end - start;
    if (before !== after || length > MAX_BLOCK_BYTES) return;
    let slot = this.#slots[this.#next];
    if (slot === undefined || slot.bytes.length < length) {
      slot = { generation: 0, length: 0, bytes: Buffer.allocUnsafeSlow(Math.max(64, length)), value };
      this.#slots[this.#next] = slot;
    }
    slot.generation = before;
    slot.length = length;
    slot.value = value;
    block.copy(slot.bytes, 0, start, end);
    this.#next = (this.#next + 1) % SLOTS;
  }
}

/** Blocks are short: a loop of our own beats the way into native code. */
function isEqual(bytes: Buffer, block: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i - start] !== block[i]) return false;
  }
  return true;
}
