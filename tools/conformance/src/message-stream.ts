import type { ClientDuplexStream, ServiceError, StatusObject } from "@grpc/grpc-js";
import type { Refusal } from "./etcd-client.ts";

const patienceMs = 40_000;

type Waiter<T> = { readonly resolve: (value: T) => void; readonly reject: (error: Error) => void };

/**
 * One stream, read message by message and in order: a message that a test did not expect is the next one it reads.
 * Disposing cancels it.
 */
export class MessageStream<I, O> implements Disposable {
  /** How it ended; code 0 for a good end. */
  readonly ended: Promise<Refusal>;
  readonly #call: ClientDuplexStream<I, O>;
  readonly #unread: O[] = [];
  #waiter: Waiter<O> | undefined;
  #end: Refusal | undefined;

  constructor(call: ClientDuplexStream<I, O>) {
    this.#call = call;
    call.on("data", (message: O) => {
      if (this.#waiter === undefined) this.#unread.push(message);
      else this.#takeWaiter()?.resolve(message);
    });
    call.on("error", (_error: ServiceError) => {
      // Arrives as `status` too.
    });
    const { promise, resolve } = Promise.withResolvers<Refusal>();
    this.ended = promise;
    call.on("status", (status: StatusObject) => {
      this.#end = { code: status.code, message: status.details };
      resolve(this.#end);
      this.#takeWaiter()?.reject(this.#endError());
    });
  }

  send(message: I): void {
    this.#call.write(message);
  }

  /** Reads nothing from the connection until `resume`, as a client does that hangs. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  /** Says that nothing more will be sent. */
  halfClose(): void {
    this.#call.end();
  }

  /** The next message. @throws Error where the stream ends, or says nothing for 10 s */
  next(): Promise<O> {
    const [message] = this.#unread;
    if (message !== undefined) {
      this.#unread.shift();
      return Promise.resolve(message);
    }
    if (this.#end !== undefined) return Promise.reject(this.#endError());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiter = undefined;
        reject(new Error(`no message within ${patienceMs} ms`));
      }, patienceMs);
      this.#waiter = {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
    });
  }

  /** Messages that arrived and were not read. */
  get unread(): readonly O[] {
    return this.#unread;
  }

  [Symbol.dispose](): void {
    this.#takeWaiter()?.reject(new Error("the stream was disposed of"));
    this.#call.cancel();
  }

  #takeWaiter(): Waiter<O> | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    return waiter;
  }

  #endError(): Error {
    return new Error(`the stream ended: ${this.#end?.code} ${this.#end?.message}`);
  }
}
