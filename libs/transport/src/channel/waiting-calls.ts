import type { ClientCall } from "./client-call.ts";
import { HoldTimer } from "./hold-timer.ts";

/** Calls without a connection, in the order they came, each with the moment until which it may wait (rule 42). */
export class WaitingCalls {
  readonly #holds = new Map<ClientCall, HoldTimer>();
  readonly #describe: () => string;

  /** @param describe why there is no connection, for calls whose time is over */
  constructor(describe: () => string) {
    this.#describe = describe;
  }

  get size(): number {
    return this.#holds.size;
  }

  /** Lets a call wait, for as long as `endAt` says later, or for ever. */
  add(call: ClientCall): void {
    const hold = new HoldTimer(() => {
      this.#holds.delete(call);
      call.onUnavailable(this.#describe());
    });
    this.#holds.set(call, hold);
  }

  /** Sets or moves the end of a call's wait. @param at performance.now() */
  endAt(call: ClientCall, at: number): void {
    this.#holds.get(call)?.endAt(at);
  }

  /** Sets the end of the wait of all calls that have none. */
  endAllAt(at: number): void {
    for (const hold of this.#holds.values()) {
      if (hold.deadlineAt === undefined) hold.endAt(at);
    }
  }

  /** The call waits no longer. */
  delete(call: ClientCall): void {
    this.#holds.get(call)?.stop();
    this.#holds.delete(call);
  }

  /** Offers the calls in order, until one finds no room. A call that is not to start yet keeps its place. */
  offer(start: (call: ClientCall) => "started" | "notYet" | "noRoom"): void {
    for (const call of this.#holds.keys()) {
      const result = start(call);
      if (result === "noRoom") return;
      if (result === "started") this.delete(call);
    }
  }

  /** An attempt to connect failed at `now`: fails the calls that may not wait for the next. */
  fail(message: string, now: number): void {
    for (const call of [...this.#holds.keys()]) {
      if (call.holdUntil > now) {
        this.endAt(call, call.holdUntil);
        continue;
      }
      this.delete(call);
      call.onUnavailable(message);
    }
  }
}
