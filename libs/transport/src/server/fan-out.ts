import { FRAME_PAYLOAD_LIMIT } from "../http2/constants.ts";
import type { Outbound } from "../http2/outbound.ts";
import type { Sender } from "../http2/ready-ring.ts";
import type { ServerCall } from "./server-call.ts";
import type { ServerConnection } from "./server-connection.ts";

/**
 * Calls of one connection that get the same messages. Asks for a turn with `wake`; in its turn the owner sends, to as many
 * as the connection takes, and asks again for the rest. Nothing is queued: what was not sent is the owner's to remember.
 */
export class FanOut<C = unknown> implements Sender {
  nextReady: Sender | undefined = undefined;
  isReady = false;
  readonly #connection: ServerConnection<C>;
  readonly #onTurn: () => void;
  readonly #calls: ServerCall<C>[] = [];
  #isStuck = false;

  /** Made by `ServerConnection.openFanOut`. */
  constructor(connection: ServerConnection<C>, onTurn: () => void) {
    this.#connection = connection;
    this.#onTurn = onTurn;
  }

  /** Adds a call of this connection, as the last. Response headers go out if they have not yet. */
  add(call: ServerCall<C>): void {
    call.sendHeaders();
    this.#calls.push(call);
  }

  /** Two calls change places. */
  swap(a: number, b: number): void {
    const calls = this.#calls;
    const first = calls[a];
    const second = calls[b];
    if (first === undefined || second === undefined) return;
    calls[a] = second;
    calls[b] = first;
  }

  /** Takes the last call out. */
  pop(): void {
    this.#calls.pop();
  }

  /** Asks for a turn. It never comes from inside. */
  wake(): void {
    this.#connection.out.enqueueSender(this);
  }

  /**
   * Sends one message, with its five-byte prefix, to the calls from index `from` on. Only from inside a turn. A message
   * that needs more than one frame (16 KiB) blocks all of them.
   *
   * @param blocked gets the indices of calls that can take nothing at once: they got nothing, and are passed over
   * @returns the index of the first call that has yet to get it; `wake` is to be called if it is not the last's
   */
  send(framed: Uint8Array, from: number, blocked: number[]): number {
    const { out, counters } = this.#connection;
    if (framed.length > FRAME_PAYLOAD_LIMIT) {
      for (let index = from; index < this.#calls.length; index++) blocked.push(index);
      return this.#calls.length;
    }
    const before = blocked.length;
    const reached = out.sendToEach(this.#calls, framed, from, blocked);
    this.#isStuck = reached === from && from < this.#calls.length;
    counters.messagesSent += reached - from - (blocked.length - before);
    return reached;
  }

  takeTurn(_out: Outbound): boolean {
    this.#isStuck = false;
    this.#onTurn();
    return !this.#isStuck;
  }
}
