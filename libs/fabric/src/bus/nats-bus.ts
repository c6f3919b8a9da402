import { readFile } from "node:fs/promises";
import { type Clock, systemClock } from "@etcd-edge/runtime";
import type { ConnectionOptions, NatsConnection, Subscription } from "nats";
import type { BusState, MessageBus } from "./message-bus.ts";
import { type NatsServers, parseNatsServers } from "./nats-servers.ts";

export type NatsBusOptions = {
  /** See `parseNatsServers`. At least one. */
  readonly servers: readonly string[];
  /** A credentials file as `nsc` makes it (JWT and seed). Read at each attempt, so it can be renewed. */
  readonly credentialsFile?: string | undefined;
  /** PEM file names. Naming any asks for TLS. */
  readonly tls?:
    | { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string }
    | undefined;
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly clock?: Clock;
};

const attemptTimeoutMs = 2_000;
/** How long what was published last may take to leave when the bus is closed. */
const lastWordsMs = 500;
/** What NATS servers allow unless they are told otherwise. */
const defaultMaxPayloadBytes = 1 << 20;
const minRetryMs = 250;
const maxRetryMs = 5_000;

/**
 * A bus over core NATS. It is usable at once and connects in the background for as long as it lives. Throws for servers
 * that do not parse.
 *
 *  connecting ──first connection──▶ connected ──lost──▶ connecting (the client reconnects by itself, for ever)
 *      │ attempt failed: wait, again      ▲                  │
 *      └──────────▶ connecting            └──────────────────┘
 *  any ── dispose ──▶ closed
 */
export function createNatsBus(options: NatsBusOptions): MessageBus {
  return new NatsBus(options);
}

type LiveSubscription = {
  readonly onMessage: (data: Uint8Array) => void;
  subscription: Subscription | undefined;
};

class NatsBus implements MessageBus {
  readonly counters = { published: 0, received: 0, dropped: 0, rejected: 0 };
  readonly #options: NatsBusOptions;
  readonly #servers: NatsServers;
  readonly #clock: Clock;
  readonly #subscriptions = new Map<LiveSubscription, string>();
  readonly #listeners = new Set<(state: BusState) => void>();
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;
  #state: BusState = { t: "connecting" };
  #connection: NatsConnection | undefined;

  constructor(options: NatsBusOptions) {
    this.#options = options;
    this.#servers = parseNatsServers(options.servers);
    this.#clock = options.clock ?? systemClock;
    this.#running = this.#run();
  }

  publish(subject: string, data: Uint8Array): void {
    if (this.#state.t !== "connected" || this.#connection === undefined) {
      this.counters.dropped += 1;
      return;
    }
    this.#connection.publish(subject, data);
    this.counters.published += 1;
  }

  subscribe(subject: string, onMessage: (data: Uint8Array) => void): () => void {
    const live: LiveSubscription = { onMessage, subscription: undefined };
    this.#subscriptions.set(live, subject);
    if (this.#connection !== undefined) this.#attach(this.#connection, live, subject);
    return () => {
      this.#subscriptions.delete(live);
      live.subscription?.unsubscribe();
    };
  }

  get maxPayloadBytes(): number {
    return this.#connection?.info?.max_payload ?? defaultMaxPayloadBytes;
  }

  async flush(): Promise<void> {
    if (this.#state.t !== "connected" || this.#connection === undefined)
      throw new Error("not connected to NATS");
    await this.#connection.flush();
  }

  state(): BusState {
    return this.#state;
  }

  onState(listener: (state: BusState) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state.t === "connected") await this.#lastWords();
    this.#ended.abort();
    await this.#connection?.close();
    await this.#running;
    this.#setState({ t: "closed" });
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#ended.signal.aborted; failures += 1) {
      try {
        // Loaded here: a process without NATS would start 50 ms later for it.
        const { connect } = await import("nats");
        await this.#live(await connect(await this.#connectionOptions()));
        failures = 0; // it lived; only a closed connection ends here, and that only with us or by the server's order
      } catch (error) {
        this.#setState({ t: "connecting", error: error instanceof Error ? error.message : String(error) });
      }
      await this.#pause(
        Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(failures, 10)) * (0.75 + 0.25 * Math.random()),
      );
    }
  }

  /** From a made connection to its end. */
  async #live(connection: NatsConnection): Promise<void> {
    if (this.#ended.signal.aborted) {
      await connection.close();
      return;
    }
    this.#connection = connection;
    for (const [live, subject] of this.#subscriptions) this.#attach(connection, live, subject);
    this.#setState({ t: "connected", server: connection.getServer() });
    void this.#followStatus(connection);
    await connection.closed();
    this.#connection = undefined;
    this.#setState({ t: "connecting" });
  }

  /** Stays pending for ever when the connection closes (the client never ends the iteration), so nobody awaits it. */
  async #followStatus(connection: NatsConnection): Promise<void> {
    for await (const { type, data } of connection.status()) {
      if (type === "disconnect") this.#setState({ t: "connecting", error: `lost the connection to ${data}` });
      if (type === "reconnect") this.#setState({ t: "connected", server: String(data) });
    }
  }

  #attach(connection: NatsConnection, live: LiveSubscription, subject: string): void {
    live.subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (error !== null) return; // a permission refused: the server says so on the status, too
        this.counters.received += 1;
        live.onMessage(message.data);
      },
    });
  }

  async #connectionOptions(): Promise<ConnectionOptions> {
    const { credentialsFile, tls, name } = this.#options;
    const { credsAuthenticator } = await import("nats");
    const { isTls, ...servers } = this.#servers;
    return {
      ...servers,
      name,
      timeout: attemptTimeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: minRetryMs,
      reconnectJitter: minRetryMs,
      ignoreAuthErrorAbort: true, // credentials get renewed
      ignoreClusterUpdates: false,
      ...(credentialsFile === undefined
        ? {}
        : { authenticator: credsAuthenticator(await readFile(credentialsFile)) }),
      ...(tls === undefined && !isTls ? {} : { tls: { ...tls } }),
    };
  }

  async #lastWords(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(lastWordsMs, resolve);
    this.#connection?.flush().then(resolve, resolve);
    await promise;
    timer.stop();
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#ended;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(ms, () => finish());
      const finish = (): void => {
        timer.stop();
        signal.removeEventListener("abort", finish);
        resolve();
      };
      signal.addEventListener("abort", finish);
    });
  }

  #setState(state: BusState): void {
    if (this.#state.t === "closed" || (this.#ended.signal.aborted && state.t !== "closed")) return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}
