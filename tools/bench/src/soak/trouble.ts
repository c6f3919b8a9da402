import { setTimeout as delay } from "node:timers/promises";
import {
  CompactionRequestSchema,
  create,
  type MessageInitShape,
  type RequestOpSchema,
  TxnRequestSchema,
  toBinary,
} from "@etcd-edge/proto";
import type { EtcdCluster } from "@etcd-edge/testkit";
import { Channel } from "@etcd-edge/transport";

/** How often things happened. */
export interface TroubleCounts {
  writes: number;
  writesFailed: number;
  restarts: number;
  compactions: number;
}

const downMs = 4_000;
const callTimeoutMs = 2_000;
export const soakKeys: readonly string[] = Array.from(
  { length: 40 },
  (_, i) => `soak/${String(i).padStart(2, "0")}`,
);

/** What happens to an etcd in a long night: writes of some keys at once, compactions, members that die and come back. */
export class Trouble implements AsyncDisposable {
  readonly counts: TroubleCounts = { writes: 0, writesFailed: 0, restarts: 0, compactions: 0 };
  readonly #cluster: EtcdCluster;
  readonly #channels: readonly Channel[];
  #turn = 0;

  constructor(cluster: EtcdCluster) {
    this.#cluster = cluster;
    this.#channels = cluster.endpoints.map((endpoint) => {
      const [host = "", port = ""] = endpoint.split(":");
      return new Channel({ endpoint: { host, port: Number(port) } });
    });
  }

  /** Puts or deletes one to three keys in one transaction. A member that is away fails it. */
  async write(): Promise<void> {
    const keys = new Set(
      Array.from({ length: 1 + chance(3) }, () => soakKeys[chance(soakKeys.length)] ?? ""),
    );
    const request = create(TxnRequestSchema, {
      success: [...keys].map((key) => operation(Buffer.from(key))),
    });
    const isDone = await this.#ask("/etcdserverpb.KV/Txn", toBinary(TxnRequestSchema, request));
    this.counts[isDone ? "writes" : "writesFailed"]++;
  }

  /** Forgets what lies `keep` revisions or more behind `head`. */
  async compact(head: bigint, keep: number): Promise<void> {
    const revision = head - BigInt(keep);
    if (revision < 2n) return;
    const request = toBinary(CompactionRequestSchema, create(CompactionRequestSchema, { revision }));
    if (await this.#ask("/etcdserverpb.KV/Compact", request)) this.counts.compactions++;
  }

  /** Kills one member, the leader too if it is its turn, and starts it again a while later. */
  async restartMember(): Promise<void> {
    const member = this.#cluster.members[this.counts.restarts % this.#cluster.members.length];
    if (member === undefined) return;
    await member.kill();
    await delay(downMs);
    await member.restart();
    this.counts.restarts++;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel[Symbol.asyncDispose]()));
  }

  async #ask(path: string, request: Uint8Array): Promise<boolean> {
    const channel = this.#channels[this.#turn++ % this.#channels.length];
    try {
      await channel?.unaryCall(path, [], request, { deadlineAt: performance.now() + callTimeoutMs });
      return true;
    } catch {
      return false; // its member is away, or there is no leader for a moment: counted by the caller
    }
  }
}

function operation(key: Uint8Array): MessageInitShape<typeof RequestOpSchema> {
  if (chance(4) === 0) return { request: { case: "requestDeleteRange", value: { key } } };
  const value = Buffer.alloc(chance(50) === 0 ? 20_000 : 8 + chance(200), String(chance(10)));
  return { request: { case: "requestPut", value: { key, value } } };
}

/** A whole number from 0 up to, not including, `below`. */
export function chance(below: number): number {
  return Math.floor(Math.random() * below);
}
