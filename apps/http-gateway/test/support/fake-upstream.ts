import {
  type Metadata,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamStream,
} from "../../src/upstream/upstream.ts";

/** What the fake server does with a call. */
export type Script =
  | { readonly t: "answer"; readonly message: Uint8Array }
  | {
      readonly t: "error";
      readonly status: number;
      readonly message: string;
      readonly origin: "server" | "local";
    }
  | {
      readonly t: "frames";
      readonly messages: readonly Uint8Array[];
      /** What follows the messages: nothing more, or a status. */
      readonly ending:
        | "open"
        | "end"
        | { readonly status: number; readonly message: string; readonly origin: "server" | "local" };
    };

export interface SeenCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly messages: Uint8Array[];
  halfClosed: boolean;
  cancelled: boolean;
}

const responseHeaders: Metadata = ["content-type", "application/grpc"];

/** An upstream that answers every call by one script and keeps what it was asked. */
export class FakeUpstream implements Upstream {
  script: Script;
  readonly calls: SeenCall[] = [];
  /** What unary calls wait for before they are answered. */
  delay: Promise<void> = Promise.resolve();
  /** Messages that were received from streams so far. */
  taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(script: Script) {
    this.script = script;
  }

  async unary(call: UpstreamCall, request: Uint8Array): Promise<{ message: Uint8Array; headers: Metadata }> {
    this.#see(call).messages.push(request);
    const { script } = this;
    await this.delay;
    if (script.t === "answer") return { message: script.message, headers: responseHeaders };
    if (script.t === "error") throw new UpstreamError(script);
    throw new Error("this script is for streams");
  }

  async open(call: UpstreamCall): Promise<UpstreamStream> {
    const seen = this.#see(call);
    const { script } = this;
    if (script.t === "error") return this.#stream(call, seen, [], script);
    if (script.t === "answer") throw new Error("this script is for unary calls");
    return this.#stream(call, seen, script.messages, script.ending);
  }

  /** Resolves as soon as what was seen satisfies the condition. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  /** Resolves when nothing was taken from streams for a good while of turns of the event loop. */
  async untilQuiet(): Promise<void> {
    for (let turns = 0, before = -1; turns < 200; turns++) {
      if (before !== this.taken || this.taken === 0) turns = 0;
      before = this.taken;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #see(call: UpstreamCall): SeenCall {
    const seen = {
      path: call.rpc.path,
      metadata: call.metadata,
      messages: [],
      halfClosed: false,
      cancelled: false,
    };
    this.calls.push(seen);
    this.#changed();
    return seen;
  }

  #stream(
    call: UpstreamCall,
    seen: SeenCall,
    messages: readonly Uint8Array[],
    ending:
      | "open"
      | "end"
      | { readonly status: number; readonly message: string; readonly origin: "server" | "local" },
  ): UpstreamStream {
    const left = [...messages];
    const cancelled = Promise.withResolvers<void>();
    const cancel = (): void => {
      seen.cancelled = true;
      this.#changed();
      cancelled.resolve();
    };
    call.presence.onGone(cancel);
    return {
      headers: responseHeaders,
      send: async (message) => {
        seen.messages.push(message);
        this.#changed();
      },
      halfClose: () => {
        seen.halfClosed = true;
        this.#changed();
      },
      receive: async () => {
        const next = left.shift();
        if (next !== undefined) {
          this.taken++;
          return next;
        }
        if (ending === "end") {
          // As etcd: the end of our side comes first.
          await this.until(() => seen.halfClosed || seen.cancelled);
          return undefined;
        }
        if (ending !== "open") throw new UpstreamError(ending);
        await cancelled.promise;
        throw new UpstreamError({ status: 1, message: "cancelled", origin: "local" });
      },
      cancel,
    };
  }

  #changed(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
