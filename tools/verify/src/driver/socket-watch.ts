import type WebSocket from "ws";
import type { RawData } from "ws";
import { HttpCallError, type HttpClient, toLost } from "./http-client.ts";
import { openerOf, takeLine, toLine } from "./http-watch.ts";
import type { WatchMessageInit, WatchOpener, WatchWire, WireListener } from "./watch-wire.ts";

const unavailable = 14;

/** Watches over a WebSocket at `/v3/watch`: a message is a line of JSON, both ways. */
export function socketsOver(client: HttpClient): WatchOpener {
  return {
    ...openerOf(client),
    via: "sockets",
    openWatch: async (listener) => {
      await client.authenticate();
      return new SocketWire(client.beginSocket("/v3/watch"), listener);
    },
  };
}

class SocketWire implements WatchWire {
  readonly #socket: WebSocket;
  readonly #listener: WireListener;
  /** Asked for before it was open. */
  #unsent: WatchMessageInit[] = [];
  #isOver = false;

  constructor(socket: WebSocket, listener: WireListener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.on("open", () => {
      for (const request of this.#unsent.splice(0)) socket.send(toLine(request));
    });
    socket.on("message", (data) => this.#take(data));
    socket.on("error", (error) => this.#end(toLost(error)));
    socket.on("close", (code) => {
      const isGood = code === 1000;
      this.#end(isGood ? undefined : new HttpCallError(unavailable, `the WebSocket was closed with ${code}`));
    });
  }

  write(request: WatchMessageInit): void {
    if (this.#isOver) return;
    if (this.#socket.readyState === this.#socket.CONNECTING) this.#unsent.push(request);
    else this.#socket.send(toLine(request), () => {}); // what cannot be sent is followed by `close`
  }

  pause(): void {
    if (!this.#isOver) this.#socket.pause();
  }

  resume(): void {
    if (!this.#isOver) this.#socket.resume();
  }

  cancel(): void {
    this.#isOver = true;
    this.#socket.terminate();
  }

  #take(data: RawData): void {
    if (this.#isOver) return;
    try {
      takeLine(String(data), this.#listener);
    } catch (error) {
      this.#end(toLost(error));
    }
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (error === undefined) this.#listener.onEnd();
    else this.#listener.onError(error);
    this.#socket.terminate();
  }
}
