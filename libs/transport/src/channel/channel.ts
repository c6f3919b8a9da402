import type { Socket } from "node:net";
import { createCounters, type TransportCounters } from "../counters.ts";
import type { RawMetadata } from "../grpc/metadata.ts";
import { StatusCode } from "../grpc/status.ts";
import { type ConnectionLimits, channelLimits } from "../http2/limits.ts";
import { type BackoffOptions, backoffMs, defaultBackoff } from "./backoff.ts";
import type { ChannelOptions, ChannelState } from "./channel-options.ts";
import { type CallOptions, type CallOwner, ClientCall, type ClientSink } from "./client-call.ts";
import { ClientConnection, type ClientConnectionOptions } from "./client-connection.ts";
import { ConnectionPool } from "./connection-pool.ts";
import { authorityOf, dial, type Endpoint } from "./dial.ts";
import { type UnaryAnswer, unaryCall } from "./unary-call.ts";
import { WaitingCalls } from "./waiting-calls.ts";

/** Keeps connections to one server and makes calls on them. */
export class Channel implements CallOwner, AsyncDisposable {
  readonly counters: TransportCounters;
  readonly endpoint: Endpoint;
  readonly onCallEnd: ChannelOptions["onCallEnd"];
  readonly #options: ChannelOptions;
  readonly #connectionOptions: ClientConnectionOptions;
  readonly #backoff: BackoffOptions;
  readonly #connections: ConnectionPool;
  readonly #waiting: WaitingCalls;
  #state: ChannelState = { t: "idle" };
  /** The socket of the attempt under way, and how to give it up. */
  #attempt: { readonly socket: Socket; readonly timer: NodeJS.Timeout } | undefined = undefined;
  #retryTimer: NodeJS.Timeout | undefined = undefined;
  #failures = 0;
  /** Doubles whenever the server says `too_many_pings` (gRPC A8). */
  #pingSlowdown = 1;
  readonly #closeWaiters = new Set<() => void>();

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.endpoint = options.endpoint;
    this.onCallEnd = options.onCallEnd;
    this.counters = options.counters ?? createCounters();
    this.#waiting = new WaitingCalls(options.maxPendingBytes ?? 64 * 1024 * 1024, () => this.#describe());
    this.#backoff = { ...defaultBackoff, ...options.backoff };
    const limits: ConnectionLimits = { ...channelLimits, ...options.limits };
    const keepalive = { timeMs: 0, timeoutMs: 20_000, withoutStreams: false, ...options.keepalive };
    this.#connections = new ConnectionPool(limits, keepalive);
    this.#connectionOptions = {
      limits,
      keepalive,
      counters: this.counters,
      scheme: options.tls === undefined ? "http" : "https",
      authority: options.authority ?? authorityOf(options.endpoint),
      userAgent: options.userAgent ?? "etcd-edge",
      onReady: (connection) => this.#onReady(connection),
      onGoingAway: () => this.#afterLoss(),
      onTooManyPings: () => {
        this.#pingSlowdown *= 2;
      },
      onRoom: () => this.#startWaiting(),
      onClosed: (connection, reason) => this.#onClosed(connection, reason),
    };
  }

  /** What the channel is doing. */
  get state(): ChannelState {
    return this.#state;
  }

  /** Calls open on connections, and calls waiting for one. */
  get load(): { readonly active: number; readonly waiting: number } {
    return { active: this.#connections.activeCalls, waiting: this.#waiting.size };
  }

  /**
   * Begins a call. Send messages on the result at once; the sink hears of everything, failures included, later.
   *
   * @throws TypeError for metadata that cannot be sent.
   */
  open(path: string, metadata: RawMetadata, options: CallOptions, sink: ClientSink): ClientCall {
    const call = new ClientCall(this, path, metadata, options, sink);
    const connection = this.#connections.pick();
    if (connection !== undefined && this.#start(connection, call)) return call;
    this.#wait(call);
    return call;
  }

  /** One message there, one back. Rejects with CallError, also when a good answer has no message or two. */
  unaryCall(
    path: string,
    metadata: RawMetadata,
    payload: Uint8Array,
    options: CallOptions = {},
  ): Promise<UnaryAnswer> {
    return unaryCall((sink) => this.open(path, metadata, options, sink), payload);
  }

  /** Connects without a call, if there is no connection and none under way. */
  connect(): void {
    if (this.#state.t === "idle") this.#dial();
  }

  /** Stops: waiting calls fail with 14, open ones may end until `graceMs` is over. */
  async close(graceMs: number): Promise<void> {
    this.#shutDown();
    this.#connections.retireAll();
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#closeWaiters.delete(done);
          resolve();
        };
        const timer = setTimeout(done, graceMs);
        this.#closeWaiters.add(done);
      });
    }
    this.destroy();
  }

  /** Ends everything now. */
  destroy(): void {
    this.#shutDown();
    this.#connections.destroyAll("channel was closed");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }

  #shutDown(): void {
    if (this.#state.t === "shutdown") return;
    this.#setState({ t: "shutdown" });
    clearTimeout(this.#retryTimer);
    this.#attempt?.socket.destroy();
    this.#waiting.fail("channel was closed", Number.POSITIVE_INFINITY);
  }

  // ---- calls ----

  /** Starts the call unless its time is spent (rule 43). */
  #start(connection: ClientConnection, call: ClientCall): boolean {
    const remainingMs = call.deadlineAt === undefined ? undefined : call.deadlineAt - performance.now();
    // The wheel ends it within milliseconds; until then it waits.
    if (remainingMs !== undefined && remainingMs <= 0) return false;
    if (connection.isTooLarge(call)) {
      queueMicrotask(() => call.failLocally(StatusCode.internal, "metadata is larger than the server takes"));
    } else {
      connection.start(call, remainingMs);
    }
    return true;
  }

  #wait(call: ClientCall): void {
    const { maxPendingCalls = 10_000 } = this.#options;
    if (this.#waiting.size >= maxPendingCalls) {
      this.counters.pendingCallsRejected++;
      queueMicrotask(() =>
        call.failLocally(StatusCode.resourceExhausted, "too many calls wait for a connection"),
      );
      return;
    }
    this.#waiting.add(call);
    const now = performance.now();
    switch (this.#state.t) {
      case "shutdown":
        this.#waiting.endAt(call, now);
        break;
      case "ready":
        this.#waiting.endAt(call, now + this.#maxPendingMs);
        this.#dialMore();
        break;
      case "transientFailure":
        this.#waiting.endAt(call, call.holdUntil);
        break;
      case "idle":
      case "connecting":
        // With neither it waits for the attempt, however long that takes.
        if (call.holdUntil > now) this.#waiting.endAt(call, call.holdUntil);
        else if (call.connectBy !== undefined) this.#waiting.endAt(call, call.connectBy);
        this.#dial();
        break;
      default:
        this.#state satisfies never;
    }
  }

  onPendingEnded(call: ClientCall): void {
    this.#waiting.delete(call);
  }

  admitPending(call: ClientCall, bytes: number): boolean {
    if (this.#waiting.admit(call, bytes)) return true;
    this.counters.pendingBytesExceeded++;
    return false;
  }

  onSinkError(error: unknown): void {
    const { onSinkError } = this.#options;
    if (onSinkError !== undefined) {
      onSinkError(error);
      return;
    }
    process.nextTick(() => {
      throw error;
    });
  }

  #startWaiting(): void {
    if (this.#waiting.size === 0) return;
    this.#waiting.offer((call) => {
      const connection = this.#connections.pick();
      if (connection === undefined) return "noRoom";
      return this.#start(connection, call) ? "started" : "notYet";
    });
    if (this.#waiting.size === 0 || this.#state.t !== "ready") return;
    this.#waiting.endAllAt(performance.now() + this.#maxPendingMs);
    this.#dialMore();
  }

  get #maxPendingMs(): number {
    return this.#options.maxPendingMs ?? 30_000;
  }

  #describe(): string {
    switch (this.#state.t) {
      case "transientFailure":
        return this.#state.message;
      case "shutdown":
        return "channel was closed";
      case "ready":
        return "all connections are full";
      case "idle":
      case "connecting":
        return "no connection in time";
      default:
        return this.#state satisfies never;
    }
  }

  // ---- connections ----

  /** The connections are full: opens another if there may be one. */
  #dialMore(): void {
    if (this.#connections.size < (this.#options.maxConnections ?? 1)) this.#dial();
  }

  #dial(): void {
    if (this.#attempt !== undefined) return;
    if (this.#state.t !== "ready") this.#setState({ t: "connecting" });
    const timer = setTimeout(
      () => socket.destroy(new Error("no connection in time")),
      this.#options.connectTimeoutMs ?? 10_000,
    );
    timer.unref();
    const socket = dial(this.#options.endpoint, this.#options.tls, (result) => {
      if (result instanceof Error) this.#onAttemptFailed(result.message);
      else this.#onConnected(result);
    });
    this.#attempt = { socket, timer };
  }

  #onConnected(socket: Socket): void {
    const { keepalive } = this.#connectionOptions;
    const connection = new ClientConnection(socket, {
      ...this.#connectionOptions,
      keepalive: { ...keepalive, timeMs: keepalive.timeMs * this.#pingSlowdown },
    });
    this.#connections.add(connection);
  }

  #onReady(connection: ClientConnection): void {
    this.#endAttempt(connection.socket);
    if (this.#state.t === "shutdown") {
      connection.retire();
      return;
    }
    this.#failures = 0;
    this.#setState({ t: "ready" });
    this.#startWaiting();
  }

  #endAttempt(socket: Socket): boolean {
    if (this.#attempt?.socket !== socket) return false;
    clearTimeout(this.#attempt.timer);
    this.#attempt = undefined;
    return true;
  }

  #onClosed(connection: ClientConnection, reason: string): void {
    this.#connections.delete(connection);
    if (this.#endAttempt(connection.socket)) this.#onAttemptFailed(reason);
    else this.#afterLoss();
    if (this.#connections.size > 0) return;
    for (const waiter of [...this.#closeWaiters]) waiter();
  }

  /** A connection closed, or takes no more calls. */
  #afterLoss(): void {
    if (this.#state.t !== "ready" || this.#connections.isUsable) return;
    this.#setState({ t: "idle" });
    if (this.#waiting.size > 0) this.#dial();
  }

  #onAttemptFailed(message: string): void {
    if (this.#attempt !== undefined) this.#endAttempt(this.#attempt.socket);
    this.counters.connectFailures++;
    if (this.#state.t === "shutdown") return;
    this.#failures++;
    // With another connection at work there is no hurry: the next call that finds no room tries again.
    if (this.#state.t === "ready") return;
    this.#setState({ t: "transientFailure", message });
    this.#retryTimer = setTimeout(
      () => this.#onRetryTime(),
      backoffMs(this.#backoff, this.#failures, Math.random()),
    );
    this.#retryTimer.unref();
    this.#waiting.fail(message, performance.now());
  }

  #onRetryTime(): void {
    if (this.#state.t !== "transientFailure") return;
    this.#setState({ t: "idle" });
    if (this.#waiting.size > 0) this.#dial();
  }

  #setState(state: ChannelState): void {
    if (this.#state.t === "shutdown") return;
    const changed = this.#state.t !== state.t;
    this.#state = state;
    if (changed) this.#options.onState?.(state, this);
  }
}
