import { fromBinary, PutResponseSchema } from "@etcd-edge/proto";
import { Channel } from "@etcd-edge/transport";

/** Puts whose time is remembered. */
const remembered = 10_000;

/** What is written into some ranges, one key after the other: what watchers are compared with. Dispose of it. */
export class RangeHistory implements AsyncDisposable {
  /** By range: the revisions of its events, in order. */
  readonly events: ReadonlyMap<string, bigint[]>;
  readonly #sentAt = new Map<bigint, number>();
  readonly #writer: Channel;
  #inAirSince: number | undefined = undefined;
  #turn = 0;

  /** @param endpoint `host:port` of etcd */
  constructor(endpoint: string, ranges: readonly string[]) {
    const [host = "", port = ""] = endpoint.split(":");
    this.#writer = new Channel({ endpoint: { host, port: Number(port) } });
    this.events = new Map(ranges.map((range) => [range, []]));
  }

  /** When the put of an event was sent. */
  sentAt(revision: bigint): number {
    return this.#sentAt.get(revision) ?? this.#inAirSince ?? performance.now();
  }

  /** Writes into the next range. */
  async put(): Promise<void> {
    const [range, revisions] = [...this.events][this.#turn++ % this.events.size] ?? [];
    if (range === undefined || revisions === undefined) return;
    const key = Buffer.from(`${range}/k`);
    const value = Buffer.alloc(64, "v");
    const request = Buffer.concat([Buffer.of(0x0a, key.length), key, Buffer.of(0x12, value.length), value]);
    const sentAt = performance.now();
    this.#inAirSince = sentAt;
    const { payload } = await this.#writer.unaryCall("/etcdserverpb.KV/Put", [], request);
    const revision = fromBinary(PutResponseSchema, payload).header?.revision ?? 0n;
    this.#inAirSince = undefined;
    revisions.push(revision);
    this.#sentAt.set(revision, sentAt);
    const [oldest] = this.#sentAt.keys();
    if (oldest !== undefined && this.#sentAt.size > remembered) this.#sentAt.delete(oldest);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#writer[Symbol.asyncDispose]();
  }
}
