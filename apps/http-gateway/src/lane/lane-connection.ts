import type { Socket } from "node:net";
import { ClientPresence } from "../http/client-presence.ts";
import { beginsWith, type PlainHead } from "./plain-head.ts";

/** What may be decided by the head of a request alone, and holds for all requests that begin with the same bytes. */
export interface LaneRoute {
  readonly head: PlainHead;
}

/** One request of a connection, with how to be done with it: exactly one of `answer` and `decline` is called, once. */
export interface LaneRequest<R extends LaneRoute> {
  readonly route: R;
  /** All of the body. Valid until the request is over. */
  readonly body: Buffer;
  readonly socket: Socket;
  readonly presence: ClientPresence;
  /** Sends the whole answer. After one that is the last the connection is closed. */
  answer(bytes: Buffer, isLast: boolean): void;
  /** Nothing was done for this request: the connection goes to who reads all of HTTP, with this request in front. */
  decline(): void;
}

export interface LaneConnectionOptions<R extends LaneRoute> {
  /** Reads the head at the beginning of the bytes; nothing where it is none for the lane. */
  readonly readRoute: (bytes: Buffer) => R | undefined;
  readonly serve: (request: LaneRequest<R>) => void;
  /** Takes the socket, from which these bytes were read and not used. Nobody listens to it any more. */
  readonly handOver: (socket: Socket, bytes: Buffer) => void;
  /** The connection is no longer of the lane. */
  readonly onLeft: () => void;
  readonly nowMs: () => number;
}

/** What a client is told that connects and sends nothing: Node's own words. */
const requestTimeout = Buffer.from("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n");

/**
 *     waiting ──a whole plain request──► answering ──answer──► waiting, or blocked ──the socket takes more──► waiting
 *        │                                   │                                  └─last answer, end, error──► left
 *        └──anything else──► left ◄──decline─┘
 */
type State<R extends LaneRoute> =
  /** Between requests, or before the first: then it is fresh. */
  | { readonly t: "waiting"; readonly sinceMs: number; readonly isFresh: boolean }
  | { readonly t: "answering"; readonly bytes: Buffer; readonly request: LaneRequest<R> }
  /** The client takes nothing: no more is done for it meanwhile. */
  | { readonly t: "blocked" }
  | { readonly t: "left" };

const blocked = { t: "blocked" } as const;
const left = { t: "left" } as const;

/**
 * A connection of HTTP/1.1 as long as each of its requests is plain and came in one piece. It is one request at a time that
 * is read and answered: whoever gets the connection then gets it between two messages, with all bytes that were read and not answered.
 */
export class LaneConnection<R extends LaneRoute> {
  readonly #socket: Socket;
  readonly #options: LaneConnectionOptions<R>;
  #state: State<R>;
  /** The last head, which most clients send again and again. */
  #route: R | undefined;
  /** What came and was not looked at. */
  #unread: Buffer | undefined;
  #isTaking = false;

  constructor(socket: Socket, options: LaneConnectionOptions<R>) {
    this.#socket = socket;
    this.#options = options;
    this.#state = { t: "waiting", sinceMs: options.nowMs(), isFresh: true };
    socket.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onError);
    socket.on("close", this.#onClose).on("drain", this.#onDrain);
  }

  /** Closes a connection that carries no request. One on which nothing ever came may have some under way: it stays, as with Node. */
  closeIdle(): void {
    if (this.#state.t === "waiting" && !this.#state.isFresh) this.#socket.destroy();
  }

  /** Ends a connection that has waited too long for its first request, or for one more. */
  expire(nowMs: number, limits: { readonly freshMs: number; readonly keptMs: number }): void {
    if (this.#state.t !== "waiting") return;
    const { isFresh, sinceMs } = this.#state;
    if (nowMs - sinceMs < (isFresh ? limits.freshMs : limits.keptMs)) return;
    if (isFresh) this.#socket.write(requestTimeout);
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    const before = this.#unread;
    this.#unread = before === undefined ? chunk : Buffer.concat([before, chunk]);
    if (this.#state.t === "waiting") this.#takeAll();
    // A chunk or two of pipelined requests are read ahead, so that it is seen when the client goes; more wait in the kernel.
    else if (before !== undefined) this.#socket.pause();
  };

  /** A client that closes its side gets no answer any more, as with Node; `close` follows. */
  readonly #onEnd = (): void => {
    this.#socket.end();
  };

  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    const state = this.#state;
    this.#leave();
    if (state.t === "answering") state.request.presence.leave();
  };

  readonly #onDrain = (): void => {
    if (this.#state.t === "blocked") this.#goOn();
  };

  #goOn(): void {
    this.#state = { t: "waiting", sinceMs: this.#options.nowMs(), isFresh: false };
    this.#takeAll();
    if (this.#unread === undefined && this.#socket.isPaused()) this.#socket.resume();
  }

  /** Not by recursion: a request may be answered before `serve` returns, and many may have come at once. */
  #takeAll(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    while (this.#state.t === "waiting" && this.#unread !== undefined) {
      const bytes = this.#unread;
      this.#unread = undefined;
      this.#take(bytes);
    }
    this.#isTaking = false;
  }

  #take(bytes: Buffer): void {
    let route = this.#route;
    if (route === undefined || !beginsWith(bytes, route.head)) route = this.#options.readRoute(bytes);
    const bodyAt = route?.head.bytes.length ?? 0;
    const end = bodyAt + (route?.head.contentLength ?? 0);
    if (route === undefined || end > bytes.length) {
      this.#handOver(bytes);
      return;
    }
    this.#route = route;
    if (end < bytes.length) this.#unread = bytes.subarray(end);
    const request: LaneRequest<R> = {
      route,
      body: bytes.subarray(bodyAt, end),
      socket: this.#socket,
      presence: new ClientPresence(),
      answer: (answer, isLast) => this.#answer(request, answer, isLast),
      decline: () => this.#decline(request),
    };
    this.#state = { t: "answering", bytes: bytes.subarray(0, end), request };
    this.#options.serve(request);
  }

  #answer(request: LaneRequest<R>, answer: Buffer, isLast: boolean): void {
    if (this.#state.t !== "answering" || this.#state.request !== request) return;
    const socket = this.#socket;
    // A client that has closed its side has closed ours, too: see #onEnd.
    if (!socket.writable) return;
    const takesMore = socket.write(answer);
    if (isLast) {
      this.#leave();
      socket.on("error", this.#onError);
      socket.destroySoon();
    } else if (takesMore) this.#goOn();
    else this.#state = blocked;
  }

  #decline(request: LaneRequest<R>): void {
    if (this.#state.t !== "answering" || this.#state.request !== request) return;
    const { bytes } = this.#state;
    // Where our side is closed already nobody could answer: `close` follows.
    if (this.#socket.writable) this.#handOver(bytes);
  }

  #handOver(bytes: Buffer): void {
    const all = this.#unread === undefined ? bytes : Buffer.concat([bytes, this.#unread]);
    const wasPaused = this.#socket.isPaused();
    this.#leave();
    this.#options.handOver(this.#socket, all);
    if (wasPaused) this.#socket.resume();
  }

  #leave(): void {
    if (this.#state.t === "left") return;
    this.#state = left;
    this.#unread = undefined;
    this.#route = undefined;
    const socket = this.#socket;
    socket.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onError);
    socket.off("close", this.#onClose).off("drain", this.#onDrain);
    this.#options.onLeft();
  }
}
