import { ByteBudget } from "../http2/byte-budget.ts";
import type { ClientCall } from "./client-call.ts";
import { HoldTimer } from "./hold-timer.ts";

/** One call's wait: until when, and what it holds meanwhile. */
interface Wait {
  readonly hold: HoldTimer;
  bytes: number;
}

/** Calls without a connection, in the order they came, each with the moment until which it may wait (rule 42). */
export class WaitingCalls {
  readonly #waits = new Map<ClientCall, Wait>();
  readonly #held: ByteBudget;
  readonly #describe: () => string;

  /**
   * @param maxBytes of messages in all waiting calls; one message may pass it
   * @param describe why there is no connection, for calls whose time is over
   */
  constructor(maxBytes: number, describe: () => string) {
    this.#held = new ByteBudget(maxBytes);
    this.#describe = describe;
  }

  get size(): number {
    return this.#waits.size;
  }

  /** Lets a call wait, for as long as `endAt` says later, or for ever. */
  add(call: ClientCall): void {
    const hold = new HoldTimer(() => {
      this.delete(call);
      call.onUnavailable(this.#describe());
    });
    this.#waits.set(call, { hold, bytes: 0 });
  }

  /** Counts message bytes of a call, if it waits. False: there are too many already. */
  admit(call: ClientCall, bytes: number): boolean {
    const wait = this.#waits.get(call);
    if (wait === undefined) return true;
    if (this.#held.isExceeded) return false;
    wait.bytes += bytes;
    this.#held.add(bytes);
    return true;
  }

  /** Sets or moves the end of a call's wait. @param at performance.now() */
  endAt(call: ClientCall, at: number): void {
    this.#waits.get(call)?.hold.endAt(at);
  }

  /** Sets the end of the wait of all calls that have none. */
  endAllAt(at: number): void {
    for (const { hold } of this.#waits.values()) {
      if (hold.deadlineAt === undefined) hold.endAt(at);
    }
  }

  /** The call waits no longer. */
  delete(call: ClientCall): void {
    const wait = this.#waits.get(call);
    if (wait === undefined) return;
    wait.hold.stop();
    this.#held.remove(wait.bytes);
    this.#waits.delete(call);
  }

  /** Offers the calls in order, until one finds no room. A call that is not to start yet keeps its place. */
  offer(start: (call: ClientCall) => "started" | "notYet" | "noRoom"): void {
    for (const call of this.#waits.keys()) {
      const result = start(call);
      if (result === "noRoom") return;
      if (result === "started") this.delete(call);
    }
  }

  /** An attempt to connect failed at `now`: fails the calls that may not wait for the next. */
  fail(message: string, now: number): void {
    for (const call of [...this.#waits.keys()]) {
      if (call.holdUntil > now) {
        this.endAt(call, call.holdUntil);
        continue;
      }
      this.delete(call);
      call.onUnavailable(message);
    }
  }
}
