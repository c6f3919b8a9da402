import {
  create,
  RangeRequestSchema,
  readKeyValue,
  readRangeBody,
  readResponseHeader,
  toBinary,
} from "@etcd-edge/proto";
import { successor } from "../range/bytes.ts";
import { type KeyRange, toRangeFields } from "../range/key-range.ts";

/** Asks a quorum a RangeRequest, as clients of the scope see keys. Rejects where etcd does not answer with a RangeResponse. */
export type AskRange = (request: Uint8Array) => Promise<Uint8Array>;

/** All keys of a range, at one revision. */
export interface Snapshot {
  readonly kvs: readonly Uint8Array[];
  readonly revision: bigint;
}

const firstPageKeys = 256;
const mostPageKeys = 8_192;
const targetPageBytes = 512 * 1024;

/**
 * Reads a whole range, page by page at the revision of the first.
 * @returns nothing where it is larger than the bounds
 */
export async function loadSnapshot(
  ask: AskRange,
  range: KeyRange,
  bounds: { readonly maxBytes: number; readonly maxKeys: number },
): Promise<Snapshot | undefined> {
  const { key, rangeEnd } = toRangeFields(range);
  const kvs: Uint8Array[] = [];
  let revision = 0n;
  let bytes = 0;
  let from = key;
  for (let pageKeys = firstPageKeys; ; ) {
    const request = create(RangeRequestSchema, { key: from, rangeEnd, limit: BigInt(pageKeys), revision });
    const answer = await ask(toBinary(RangeRequestSchema, request));
    const page = readRangeBody(answer);
    if (revision === 0n) {
      revision = readResponseHeader(answer).revision;
      if (page.count > BigInt(bounds.maxKeys)) return undefined;
    }
    bytes += answer.length;
    if (bytes > bounds.maxBytes) return undefined;
    for (const kv of page.kvs) kvs.push(new Uint8Array(kv));
    const last = kvs.at(-1);
    if (!page.more || last === undefined) return { kvs, revision };
    from = successor(readKeyValue(last).key);
    if (answer.length < targetPageBytes && pageKeys < mostPageKeys) pageKeys *= 2;
    else if (answer.length > 4 * targetPageBytes && pageKeys > 1) pageKeys >>= 1;
  }
}
