import type { Socket } from "node:net";
import type { Clock, Timer } from "@etcd-edge/runtime";

/** Sockets are looked at so often at most. */
const checkMs = 5_000;
const minCheckMs = 100;

interface Progress {
  bytesWritten: number;
  sinceMs: number;
}

/**
 * Cuts clients that take nothing of what is sent to them: an answer that nobody reads would hold its memory for ever. Those
 * with an open stream have time of their own, see `--watch-stall-timeout`.
 */
export class StalledSockets implements Disposable {
  readonly #sockets = new Map<Socket, Progress>();
  /** Open streams by the socket they are on. */
  readonly #streams = new Map<Socket, number>();
  readonly #options: { readonly clock: Clock; readonly timeoutMs: number; readonly onCut: () => void };
  readonly #checkMs: number;
  #timer: Timer;

  constructor(options: { clock: Clock; timeoutMs: number; onCut: () => void }) {
    this.#options = options;
    this.#checkMs = Math.min(checkMs, Math.max(minCheckMs, options.timeoutMs / 2));
    this.#timer = this.#arm();
  }

  add(socket: Socket): void {
    this.#sockets.set(socket, { bytesWritten: 0, sinceMs: this.#options.clock.nowMs() });
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#streams.delete(socket);
    });
  }

  /** The socket has a stream on it, until the answer is called. */
  openStream(socket: Socket): () => void {
    this.#streams.set(socket, (this.#streams.get(socket) ?? 0) + 1);
    return () => {
      const left = (this.#streams.get(socket) ?? 1) - 1;
      if (left > 0) this.#streams.set(socket, left);
      else this.#streams.delete(socket);
    };
  }

  [Symbol.dispose](): void {
    this.#timer.stop();
  }

  #arm(): Timer {
    return this.#options.clock.setTimer(this.#checkMs, () => {
      this.#timer = this.#arm();
      this.#check();
    });
  }

  #check(): void {
    const { clock, timeoutMs, onCut } = this.#options;
    const now = clock.nowMs();
    for (const [socket, progress] of this.#sockets) {
      const moves = socket.writableLength === 0 || socket.bytesWritten !== progress.bytesWritten;
      if (moves || this.#streams.has(socket)) {
        progress.bytesWritten = socket.bytesWritten;
        progress.sinceMs = now;
      } else if (now - progress.sinceMs >= timeoutMs) {
        onCut();
        socket.destroy();
      }
    }
  }
}
