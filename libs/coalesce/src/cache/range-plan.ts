import {
  type RangeQuery,
  type RangeShape,
  readRangeQuery,
  readRangeShape,
  withoutSerializable,
  withoutTime,
} from "@etcd-edge/proto";
import { toLatin1 } from "../range/bytes.ts";
import { type KeyRange, toKeyRange } from "../range/key-range.ts";
import type { HeldRange } from "./held-range.ts";
import { isKeyOrdered } from "./held-state.ts";
import type { Heat } from "./hot-ranges.ts";

/** What one RangeRequest is to the cache: made once for equal requests of a scope. */
export interface RangePlan {
  readonly query: RangeQuery;
  /** The request as etcd gets it. */
  readonly request: Uint8Array;
  readonly shape: RangeShape;
  /** The keys; nothing where there are none, or etcd has something to say about them. */
  readonly range: KeyRange | undefined;
  /** Whether the answer follows from the keys of the range alone. */
  readonly isKeyOrdered: boolean;
  /** Equal for requests that differ in nothing but time: `revision` and `serializable`. */
  readonly timeless: string;
  /** The same request, of a quorum. */
  readonly quorumRequest: Uint8Array;
  /** That as letters. */
  readonly quorumKey: string;
  // What is remembered between reads:
  heat: Heat | undefined;
  groupHeat: Heat | undefined;
  held: HeldRange | undefined;
  /** The state of all held ranges for which `held` is right. */
  heldAt: number;
  /** The last answer from there, and the state it was made of. A large one is not kept here. */
  body: Uint8Array;
  bodyOf: HeldRange | undefined;
  bodyVersion: number;
  isLarge: boolean;
}

const nothing = new Uint8Array(0);

/**
 * @param payload the request as the client sent it
 * @param request the same as etcd gets it
 * @returns nothing for a request that is etcd's alone to answer: it is malformed, or asks for what the schema does not know
 *   (rule 35)
 */
export function createRangePlan(payload: Uint8Array, request: Uint8Array): RangePlan | undefined {
  try {
    const own = new Uint8Array(payload); // what came may be part of a whole chunk that was read
    const query = readRangeQuery(own);
    const shape = readRangeShape(request);
    if (query === undefined || !shape.isKnown) return undefined;
    const sent = request === payload ? own : new Uint8Array(request);
    const quorumRequest = query.isSerializable ? withoutSerializable(sent) : sent;
    const range = query.key.length === 0 ? undefined : toKeyRange(query);
    return {
      query,
      request: sent,
      shape,
      range,
      isKeyOrdered: range !== undefined && isKeyOrdered(query),
      timeless: toLatin1(withoutTime(own)),
      quorumRequest,
      quorumKey: toLatin1(quorumRequest),
      heat: undefined,
      groupHeat: undefined,
      held: undefined,
      heldAt: -1,
      body: nothing,
      bodyOf: undefined,
      bodyVersion: -1,
      isLarge: false,
    };
  } catch {
    return undefined; // etcd says what is wrong with it
  }
}
