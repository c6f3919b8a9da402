import type { FabricBus } from "../src/fabric/ports.ts";
import type { Chance } from "./model-etcd.ts";

interface Subscription {
  readonly channel: string;
  readonly onMessage: (data: Uint8Array) => void;
  /** Whether the server knows of it. */
  isInForce: boolean;
}

interface Letter {
  readonly to: ScriptedBusEnd;
  readonly channel: string;
  readonly data: Uint8Array;
}

/** What the weather does to messages, each in a hundred. */
export interface BusWeather {
  drop: number;
  repeat: number;
  reorder: number;
}

/** A bus whose server is the test: nothing arrives, and no subscription takes effect, before the test says so. */
export class ScriptedBus {
  readonly weather: BusWeather = { drop: 0, repeat: 0, reorder: 0 };
  readonly ends: Set<ScriptedBusEnd> = new Set();
  readonly #letters: Letter[] = [];
  readonly #chance: Chance;
  /** Messages that were published, by what the last token of their channel but one is. */
  published = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  open(maxPayloadBytes: number = 1 << 20): ScriptedBusEnd {
    const end = new ScriptedBusEnd(this, maxPayloadBytes);
    this.ends.add(end);
    return end;
  }

  get isQuiet(): boolean {
    return this.#letters.every(({ to }) => to.isPaused) && [...this.ends].every((end) => end.isSettled);
  }

  post(channel: string, data: Uint8Array): void {
    this.published++;
    for (const to of this.ends) {
      if (!to.isConnected || !to.hears(channel)) continue;
      if (this.#chance.int(100) < this.weather.drop) continue;
      const letter = { to, channel, data: data.slice() };
      const isLate = this.#chance.int(100) < this.weather.reorder;
      const place = isLate ? this.#chance.int(this.#letters.length + 1) : this.#letters.length;
      this.#letters.splice(place, 0, letter);
      if (this.#chance.int(100) < this.weather.repeat) this.#letters.push(letter);
    }
  }

  /** The last two messages change places. */
  swapLast(): void {
    const last = this.#letters.pop();
    if (last !== undefined) this.#letters.splice(-1, 0, last);
  }

  /** Lets so many messages arrive. */
  deliver(count: number): void {
    for (let i = 0; i < count; i++) {
      const at = this.#letters.findIndex(({ to }) => !to.isPaused);
      if (at < 0) return;
      const [letter] = this.#letters.splice(at, 1);
      letter?.to.arrive(letter.channel, letter.data);
    }
  }

  /** What was under way to somebody is lost. */
  lose(end: ScriptedBusEnd): void {
    for (let i = this.#letters.length - 1; i >= 0; i--)
      if (this.#letters[i]?.to === end) this.#letters.splice(i, 1);
  }
}

/** One replica's connection. */
export class ScriptedBusEnd implements FabricBus {
  readonly maxPayloadBytes: number;
  readonly #bus: ScriptedBus;
  readonly #subscriptions = new Set<Subscription>();
  readonly #listeners = new Set<() => void>();
  readonly #flushes: { readonly needs: readonly Subscription[]; settle: PromiseWithResolvers<void> }[] = [];
  isConnected = true;
  /** What is for it waits. */
  isPaused = false;

  constructor(bus: ScriptedBus, maxPayloadBytes: number) {
    this.#bus = bus;
    this.maxPayloadBytes = maxPayloadBytes;
  }

  get isSettled(): boolean {
    return this.isPaused || !this.isConnected || [...this.#subscriptions].every(({ isInForce }) => isInForce);
  }

  publish(channel: string, data: Uint8Array): void {
    if (data.length > this.maxPayloadBytes) throw new Error(`${data.length} bytes are more than may be sent`);
    if (this.isConnected) this.#bus.post(channel, data);
  }

  subscribe(channel: string, onMessage: (data: Uint8Array) => void): () => void {
    const subscription = { channel, onMessage, isInForce: false };
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  flush(): Promise<void> {
    if (!this.isConnected) return Promise.reject(new Error("not connected"));
    const settle = Promise.withResolvers<void>();
    this.#flushes.push({ needs: [...this.#subscriptions].filter(({ isInForce }) => !isInForce), settle });
    return settle.promise;
  }

  onConnection(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The server takes notice of what was asked of it. */
  serve(): void {
    if (!this.isConnected || this.isPaused) return;
    for (const subscription of this.#subscriptions) subscription.isInForce = true;
    for (const { settle } of this.#flushes.splice(0)) settle.resolve();
  }

  connect(isConnected: boolean): void {
    if (this.isConnected === isConnected) return;
    this.isConnected = isConnected;
    for (const subscription of this.#subscriptions) subscription.isInForce = false;
    this.#bus.lose(this);
    if (!isConnected) for (const { settle } of this.#flushes.splice(0)) settle.reject(new Error("lost"));
    for (const listener of [...this.#listeners]) listener();
  }

  hears(channel: string): boolean {
    return [...this.#subscriptions].some((one) => one.isInForce && one.channel === channel);
  }

  arrive(channel: string, data: Uint8Array): void {
    for (const one of [...this.#subscriptions])
      if (one.isInForce && one.channel === channel) one.onMessage(data);
  }

  /** The process is gone. */
  kill(): void {
    this.isConnected = false;
    this.#bus.lose(this);
    this.#bus.ends.delete(this);
    this.#listeners.clear();
    this.#subscriptions.clear();
  }
}
