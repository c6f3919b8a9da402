import type { Envelope } from "@etcd-edge/proto";
import type { EpochTag } from "../epoch/epoch-record.ts";
import type { Epochs } from "../epoch/epochs.ts";
import { type Body, encodeEnvelope, readEnvelope } from "./envelope.ts";
import type { FabricCounters } from "./fabric-counters.ts";
import type { FabricBus } from "./ports.ts";

/** Who takes what others say in a scope. */
export interface ScopeListener {
  /** Said to everybody in the scope, or to us alone. */
  onMessage(replica: string, body: Envelope["body"]): void;
}

/**
 * The channels of one identity scope in one cluster: what everybody in it hears, what one replica hears, and the frames of
 * each feed. What is of another cluster, history or format goes no further (rules 3, 32, 37).
 */
export class ScopeWire {
  readonly clusterId: bigint;
  readonly #bus: FabricBus;
  readonly #replica: string;
  readonly #epochs: Epochs;
  readonly #counters: FabricCounters;
  readonly #base: string;
  readonly #stops: (() => void)[];

  constructor(options: {
    readonly bus: FabricBus;
    readonly replica: string;
    readonly epochs: Epochs;
    readonly counters: FabricCounters;
    readonly clusterId: bigint;
    /** Names the scope. */
    readonly scope: string;
    readonly listener: ScopeListener;
  }) {
    const { bus, replica, epochs, counters, clusterId, scope, listener } = options;
    this.clusterId = clusterId;
    this.#bus = bus;
    this.#replica = replica;
    this.#epochs = epochs;
    this.#counters = counters;
    this.#base = `${clusterId.toString(16)}.${scope}`;
    const onMessage = (data: Uint8Array): void => {
      const heard = this.#read(data);
      if (heard !== undefined && heard.replica !== replica) listener.onMessage(heard.replica, heard.body);
    };
    this.#stops = [
      bus.subscribe(`${this.#base}.all`, onMessage),
      bus.subscribe(`${this.#base}.to.${replica}`, onMessage),
    ];
  }

  get #tag(): EpochTag | undefined {
    return this.#epochs.recordOf(this.clusterId)?.epoch;
  }

  /** To everybody in the scope. */
  say(body: Body): void {
    this.#publish(`${this.#base}.all`, body);
  }

  sayTo(replica: string, body: Body): void {
    this.#publish(`${this.#base}.to.${replica}`, body);
  }

  /** To everybody who follows a feed. */
  sayFrame(feed: string, body: Body): void {
    this.#counters.framesOut++;
    this.#counters.frameBytesOut += this.#publish(`${this.#base}.frames.${feed}`, body);
  }

  /** Frames of a feed, by whomever. @returns the way to stop it */
  listenFrames(feed: string, onFrame: (replica: string, body: Envelope["body"]) => void): () => void {
    return this.#bus.subscribe(`${this.#base}.frames.${feed}`, (data) => {
      const heard = this.#read(data);
      if (heard === undefined || heard.replica === this.#replica) return;
      this.#counters.framesIn++;
      this.#counters.frameBytesIn += data.length;
      onFrame(heard.replica, heard.body);
    });
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  #publish(channel: string, body: Body): number {
    const epoch = this.#tag;
    if (epoch === undefined || !this.#bus.isConnected) return 0;
    const data = encodeEnvelope({ replica: this.#replica, clusterId: this.clusterId, epoch }, body);
    this.#bus.publish(channel, data);
    return data.length;
  }

  #read(data: Uint8Array): { readonly replica: string; readonly body: Envelope["body"] } | undefined {
    const reading = readEnvelope(data);
    if (reading.t !== "message") {
      this.#counters[reading.t === "version" ? "ignoredVersion" : "ignoredMalformed"]++;
      return undefined;
    }
    const { sender, body } = reading;
    // Names are not given twice; the number is what some know better than others.
    if (sender.clusterId !== this.clusterId || sender.epoch.id !== this.#tag?.id) {
      this.#counters.ignoredHistory++;
      return undefined;
    }
    return { replica: sender.replica, body };
  }
}
