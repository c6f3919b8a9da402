import type { RangeRequest } from "@etcd-edge/proto";
import { LRUCache } from "lru-cache";

/** Bytes that a page should have: much less costs round trips, much more memory. */
export const targetPageBytes: number = 1024 * 1024;

/** Ranges whose size is remembered. */
const maxRanges = 1_000;
/** Of a range that nobody has read: with the largest values that etcd takes by default still only 24 MB. */
const unknownKeys = 16n;
/** However small they are: a range whose keys were small may have a large one tomorrow. */
const maxKeys = 1_024n;

/**
 * How many keys make a page of a range, learnt from its last answers. A range that is read again and again is so read in as
 * few pages as it needs.
 */
export class PageSizes {
  readonly #targetBytes: number;
  readonly #bytesPerKey = new LRUCache<string, number>({ max: maxRanges });

  constructor(targetBytes: number) {
    this.#targetBytes = targetBytes;
  }

  keysFor(request: RangeRequest): bigint {
    const known = this.#bytesPerKey.get(nameOf(request));
    if (known === undefined) return unknownKeys;
    const keys = BigInt(Math.max(1, Math.floor(this.#targetBytes / Math.max(1, known))));
    return keys < maxKeys ? keys : maxKeys;
  }

  learn(request: RangeRequest, bytesPerKey: number): void {
    this.#bytesPerKey.set(nameOf(request), bytesPerKey);
  }
}

function nameOf({ key, rangeEnd, keysOnly }: RangeRequest): string {
  return `${keysOnly ? "k" : "v"}${key.length}:${latin1(key)}${latin1(rangeEnd)}`;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
