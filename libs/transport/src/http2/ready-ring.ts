import type { Outbound } from "./outbound.ts";

/** Something that has bytes for a connection, and takes turns with others. */
export interface Sender {
  /** Linked by the ring. */
  nextReady: Sender | undefined;
  isReady: boolean;
  /**
   * Sends a frame, or one to each of some streams; asks for another turn if there is more.
   * @returns false where the connection's window let nothing out: it keeps its place for the next time
   */
  takeTurn(out: Outbound): boolean;
}

/** Senders with bytes, in the order of their turns (rule 40). Linked through the senders. */
export class ReadyRing {
  #first: Sender | undefined = undefined;
  #last: Sender | undefined = undefined;

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  /** Appends a sender unless it stands in the ring already. */
  push(sender: Sender): void {
    if (sender.isReady) return;
    sender.isReady = true;
    sender.nextReady = undefined;
    if (this.#last === undefined) this.#first = sender;
    else this.#last.nextReady = sender;
    this.#last = sender;
  }

  /** Takes the sender whose turn it is. */
  shift(): Sender | undefined {
    const sender = this.#first;
    if (sender === undefined) return undefined;
    this.#first = sender.nextReady;
    if (this.#first === undefined) this.#last = undefined;
    sender.nextReady = undefined;
    sender.isReady = false;
    return sender;
  }
}
