import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A connection on which bytes are sent as they are, and all that comes is kept. */
export class RawClient implements Disposable {
  readonly #socket: Socket;
  readonly #closed: Promise<unknown>;
  #received = "";
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = new Promise((resolve) => {
      socket.once("close", resolve);
    });
    // A server that closes with bytes unread resets the connection: what came before is read all the same.
    socket.on("error", () => {});
    socket.setEncoding("latin1").on("data", (text: string) => {
      this.#received += text;
      this.#wake?.();
    });
  }

  static async open(url: string): Promise<RawClient> {
    const socket = connect({ port: Number(new URL(url).port), host: "127.0.0.1", noDelay: true });
    const client = new RawClient(socket);
    await once(socket, "connect");
    return client;
  }

  /** Everything that came, as latin1. */
  get received(): string {
    return this.#received;
  }

  /** Sends the parts as packets of their own, with a turn of the event loop between them. */
  async send(...parts: readonly (string | Buffer)[]): Promise<void> {
    for (const part of parts) {
      this.#socket.write(part, "latin1");
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Resolves once what came satisfies the condition. @throws Error where the connection closes before */
  async until(condition: (received: string) => boolean): Promise<void> {
    let isClosed = false;
    const closed = this.#closed.then(() => {
      isClosed = true;
    });
    while (!condition(this.#received)) {
      if (isClosed) throw new Error(`closed after ${JSON.stringify(this.#received)}`);
      await Promise.race([
        closed,
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
      ]);
    }
  }

  /** Resolves with everything that came, once the server has closed. */
  async untilClosed(): Promise<string> {
    await this.#closed;
    return this.#received;
  }

  /** Takes nothing until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
