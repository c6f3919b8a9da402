import {
  create,
  type Event,
  Event_EventType,
  fromBinary,
  type KeyValue,
  toBinary,
  WatchRequestSchema,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { Channel } from "@etcd-edge/transport";

/** One change of a key, as etcd itself told it. */
export interface Change {
  readonly revision: bigint;
  readonly key: string;
  readonly isDelete: boolean;
  readonly kv: KeyValue;
  /** What the key was before. */
  readonly previous: KeyValue | undefined;
}

const everything = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };
const reopenMs = 200;

/**
 * Everything that happens in an etcd, from its first revision on, asked of its members directly: what is compared with. Goes
 * on with another member when one is lost. Disposing ends it.
 */
export class EtcdHistory implements AsyncDisposable {
  readonly changes: Change[] = [];
  readonly #endpoints: readonly string[];
  readonly #values = new Map<string, KeyValue>();
  #channel: Channel | undefined = undefined;
  #turn = 0;
  #isOver = false;

  /** @param endpoints `host:port` of all members */
  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
    this.#open();
  }

  /** Every change up to here is known. */
  get head(): bigint {
    return this.changes.at(-1)?.revision ?? 1n;
  }

  /** Where the changes from a revision on begin. */
  indexOf(revision: bigint): number {
    let low = 0;
    let high = this.changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.changes[middle]?.revision ?? 0n) >= revision) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#channel?.[Symbol.asyncDispose]();
  }

  #open(): void {
    const [host = "", port = ""] = (this.#endpoints[this.#turn++ % this.#endpoints.length] ?? "").split(":");
    const channel = new Channel({ endpoint: { host, port: Number(port) } });
    this.#channel = channel;
    const call = channel.open(
      "/etcdserverpb.Watch/Watch",
      ["hasleader", "true"],
      {},
      {
        onMessage: (payload) => {
          for (const event of fromBinary(WatchResponseSchema, payload).events) this.#add(event);
        },
        onEnd: () => {
          channel.destroy();
          if (!this.#isOver) setTimeout(() => this.#open(), reopenMs);
        },
      },
    );
    const value = { ...everything, startRevision: this.head + 1n };
    const request = create(WatchRequestSchema, { requestUnion: { case: "createRequest", value } });
    call.sendMessage(toBinary(WatchRequestSchema, request));
  }

  #add({ type, kv }: Event): void {
    if (kv === undefined) return;
    const key = Buffer.from(kv.key).toString("latin1");
    const isDelete = type === Event_EventType.DELETE;
    this.changes.push({ revision: kv.modRevision, key, isDelete, kv, previous: this.#values.get(key) });
    if (isDelete) this.#values.delete(key);
    else this.#values.set(key, kv);
  }
}
