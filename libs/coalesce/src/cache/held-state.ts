import {
  type EventView,
  encodeRangeBody,
  keyValueOfEvent,
  type RangeQuery,
  readKeyValue,
  withoutValue,
} from "@etcd-edge/proto";
import { toLatin1 } from "../range/bytes.ts";
import { type KeyRange, lowerBound, upperBound } from "../range/key-range.ts";

/** A key that is there, as etcd stores it. */
interface HeldKey {
  /** The key's bytes as letters: these order as the bytes do. */
  readonly name: string;
  kv: Uint8Array;
  createRevision: bigint;
  modRevision: bigint;
  /** The answer to a plain read of this key, once somebody has asked. */
  alone: Uint8Array | undefined;
}

/** What a key costs in memory beside its bytes. */
const keyOverheadBytes = 250;
const nothing: Uint8Array = new Uint8Array(0);

/**
 * All keys of a range as they are at one revision, and the answers that etcd would give from them: byte for byte, for whatever is
 * ordered by key. Other orders are etcd's own: it sorts ties as they fall (rule 30).
 */
export class HeldState {
  readonly range: KeyRange;
  readonly #byName = new Map<string, HeldKey>();
  readonly #sorted: HeldKey[] = [];
  #bytes = 0;
  #changedAt: bigint;
  /** Counts changes: an answer made at the same count is still right. */
  version = 0;

  /**
   * @param kvs every key of the range at `revision`, in order
   */
  constructor(range: KeyRange, kvs: Iterable<Uint8Array>, revision: bigint) {
    this.range = range;
    this.#changedAt = revision;
    for (const kv of kvs) this.#put(kv);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get keys(): number {
    return this.#sorted.length;
  }

  /** Nothing of the range has changed since this revision. */
  get changedAt(): bigint {
    return this.#changedAt;
  }

  /** Takes an event of the range. They come in order. */
  apply(event: EventView): void {
    if (event.isDelete) {
      this.#delete(toLatin1(event.key));
    } else {
      const kv = keyValueOfEvent(event.plain);
      if (kv !== undefined) this.#put(kv);
    }
    this.#changedAt = event.modRevision;
    this.version++;
  }

  /**
   * What etcd answers, without the header.
   * @param query `isKeyOrdered`, of keys inside the range
   * @param range of the query
   */
  answer(query: RangeQuery, range: KeyRange): Uint8Array {
    if (range.t === "point" && isPlain(query)) return this.#alone(toLatin1(range.key));
    const from = this.#indexOf(toLatin1(lowerBound(range)));
    const end = upperBound(range);
    const to = end === undefined ? this.#sorted.length : this.#indexOf(toLatin1(end));
    const count = BigInt(to - from);
    if (query.isCountOnly) return encodeRangeBody([], false, count);
    const limit = query.limit > 0n ? Number(query.limit) : Number.POSITIVE_INFINITY;
    const kvs: Uint8Array[] = [];
    let more = false;
    const isDescending = query.sortOrder === descending;
    for (let i = 0; i < to - from; i++) {
      const key = this.#sorted[isDescending ? to - 1 - i : from + i];
      if (key === undefined || !passes(key, query)) continue;
      if (kvs.length >= limit) {
        more = true;
        break;
      }
      kvs.push(query.isKeysOnly ? withoutValue(key.kv) : key.kv);
    }
    return encodeRangeBody(kvs, more, count);
  }

  #alone(name: string): Uint8Array {
    const key = this.#byName.get(name);
    if (key === undefined) return nothing;
    key.alone ??= encodeRangeBody([key.kv], false, 1n);
    return key.alone;
  }

  #put(bytes: Uint8Array): void {
    const kv = new Uint8Array(bytes); // what came may be part of a whole chunk that was read
    const { key, createRevision, modRevision } = readKeyValue(kv);
    const name = toLatin1(key);
    const known = this.#byName.get(name);
    if (known !== undefined) {
      this.#bytes += kv.length - known.kv.length;
      known.kv = kv;
      known.createRevision = createRevision;
      known.modRevision = modRevision;
      known.alone = undefined;
      return;
    }
    const held: HeldKey = { name, kv, createRevision, modRevision, alone: undefined };
    this.#byName.set(name, held);
    const last = this.#sorted.at(-1);
    if (last === undefined || last.name < name) this.#sorted.push(held);
    else this.#sorted.splice(this.#indexOf(name), 0, held);
    this.#bytes += kv.length + keyOverheadBytes;
  }

  #delete(name: string): void {
    const known = this.#byName.get(name);
    if (known === undefined) return;
    this.#byName.delete(name);
    this.#sorted.splice(this.#indexOf(name), 1);
    this.#bytes -= known.kv.length + keyOverheadBytes;
  }

  /** Where a name stands, or would stand. */
  #indexOf(name: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle]?.name ?? "") < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const descending = 2;

/** Whether etcd's answer follows from the keys alone: ordered by key, either way. */
export function isKeyOrdered({ sortOrder, sortTarget }: RangeQuery): boolean {
  return sortTarget === 0 && sortOrder >= 0 && sortOrder <= descending;
}

function hasFilters(query: RangeQuery): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = query;
  return (
    minModRevision !== 0n || maxModRevision !== 0n || minCreateRevision !== 0n || maxCreateRevision !== 0n
  );
}

function isPlain(query: RangeQuery): boolean {
  return !query.isKeysOnly && !query.isCountOnly && !hasFilters(query);
}

/** etcd's filters; `count` knows nothing of them. */
function passes({ modRevision, createRevision }: HeldKey, query: RangeQuery): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = query;
  return (
    (maxModRevision === 0n || modRevision <= maxModRevision) &&
    (minModRevision === 0n || modRevision >= minModRevision) &&
    (maxCreateRevision === 0n || createRevision <= maxCreateRevision) &&
    (minCreateRevision === 0n || createRevision >= minCreateRevision)
  );
}
