import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Random } from "@etcd-edge/testkit";

/** One end of a link: a kernel that takes a write only when the other end has got every byte of it. */
class LinkEnd extends Duplex {
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 1;
  readonly #pending: { readonly chunk: Buffer; readonly done: () => void }[] = [];
  #offset = 0;
  #receive: (chunk: Buffer) => void = () => {};
  #turnsOfPause = 0;

  /** Who gets what is written here. */
  deliverTo(receive: (chunk: Buffer) => void): void {
    this.#receive = receive;
  }

  override _read(): void {
    // Input is handed to the connection by the link.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#pending.push({ chunk, done });
  }

  /** Moves some bytes, a few or many, or stands still for a while. @returns whether anything waits or was moved */
  turn(random: Random): boolean {
    if (this.#pending.length === 0) return false;
    if (this.#turnsOfPause > 0) {
      this.#turnsOfPause--;
      return true;
    }
    if (random.chance(2)) this.#turnsOfPause = random.below(40);
    let budget = 1 + random.below(random.chance(40) ? 30 : 40_000);
    while (budget > 0) {
      const first = this.#pending[0];
      if (first === undefined) break;
      const stop = Math.min(first.chunk.length, this.#offset + budget);
      budget -= stop - this.#offset;
      const piece = first.chunk.subarray(this.#offset, stop);
      this.#offset = stop;
      const isWhole = stop === first.chunk.length;
      // A copy: the sender may reuse its chunk as soon as it is told.
      this.#receive(Uint8Array.prototype.slice.call(piece) as Buffer);
      if (!isWhole) break;
      this.#pending.shift();
      this.#offset = 0;
      first.done();
    }
    return true;
  }
}

/** Two sockets joined in memory. */
export interface Link {
  readonly near: { readonly socket: Socket; deliverTo(receive: (chunk: Buffer) => void): void };
  readonly far: { readonly socket: Socket; deliverTo(receive: (chunk: Buffer) => void): void };
  /** One turn of both directions. @returns whether anything waits or was moved */
  turn(random: Random): boolean;
}

export function createLink(): Link {
  const near = new LinkEnd();
  const far = new LinkEnd();
  const face = (end: LinkEnd): Link["near"] => ({
    socket: end as unknown as Socket,
    deliverTo: (receive) => end.deliverTo(receive),
  });
  return {
    near: face(near),
    far: face(far),
    turn: (random) => {
      const nearMoved = near.turn(random);
      return far.turn(random) || nearMoved;
    },
  };
}
