import {
  create,
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  type RangeResponse,
  RangeResponseSchema,
  RangeStreamResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import { StatusCode } from "@etcd-edge/transport";
import type { Refusal } from "../relay/call-transform.ts";

/** Keys of the first page, as etcd 3.7 begins. */
const firstPageKeys = 10n;
/** Bytes that a page should have: much less costs round trips, much more memory. etcd 3.7 aims at --max-request-bytes. */
const targetPageBytes = 1024 * 1024;

/** What 3.7 answers to requests that it does not stream. */
const unsupported = {
  sort: "RangeStream does not support custom sort orders",
  filters: "RangeStream does not support revision filters",
} as const;

/** Whether a RangeStream was refused because the member has no such RPC, not because of the request. */
export function lacksRangeStream({ code, message }: { code: number; message: string }): boolean {
  return code === StatusCode.unimplemented && message !== unsupported.sort && message !== unsupported.filters;
}

/** Why 3.7 would not stream this request, or nothing. */
export function refuseStreaming(request: RangeRequest): Refusal | undefined {
  const { sortOrder, sortTarget } = request;
  const isByKey =
    sortOrder === RangeRequest_SortOrder.NONE ||
    (sortOrder === RangeRequest_SortOrder.ASCEND && sortTarget === RangeRequest_SortTarget.KEY);
  if (!isByKey) return { code: StatusCode.unimplemented, message: unsupported.sort };
  const filters = [
    request.minModRevision,
    request.maxModRevision,
    request.minCreateRevision,
    request.maxCreateRevision,
  ];
  if (filters.some((one) => one !== 0n))
    return { code: StatusCode.unimplemented, message: unsupported.filters };
  return undefined;
}

/**
 * A range read page by page at one revision, told as etcd 3.7 tells it: all messages merged are the answer of one Range.
 * Keys come as they are read; header, count and `more` with the last message.
 */
export class RangePages {
  readonly #asked: RangeRequest;
  #next: RangeRequest;
  #pageKeys = firstPageKeys;
  #shown = 0n;
  #first: { readonly revision: bigint; readonly count: bigint } | undefined;

  constructor(request: RangeRequest) {
    this.#asked = request;
    this.#next = this.#limited(request);
  }

  /** What to ask next. */
  get request(): RangeRequest {
    return this.#next;
  }

  /**
   * Takes the answer to {@link request}.
   * @returns the message for the client, and whether it is the last
   */
  take(page: RangeResponse, pageBytes: number): { readonly message: Uint8Array; readonly isLast: boolean } {
    this.#first ??= { revision: page.header?.revision ?? 0n, count: page.count };
    this.#shown += BigInt(page.kvs.length);
    const last = page.kvs.at(-1);
    const isLast = !page.more || last === undefined || this.#shown === this.#asked.limit;
    const tail = isLast
      ? {
          ...(page.header === undefined
            ? {}
            : { header: { ...page.header, revision: this.#first.revision } }),
          more: page.more,
          count: this.#first.count,
        }
      : {};
    const rangeResponse = create(RangeResponseSchema, { kvs: page.kvs, ...tail });
    if (!isLast) {
      if (pageBytes < targetPageBytes / 2) this.#pageKeys *= 2n;
      else if (pageBytes > targetPageBytes * 2 && this.#pageKeys > 1n) this.#pageKeys /= 2n;
      const { revision } = this.#asked;
      this.#next = this.#limited({
        ...this.#next,
        key: Uint8Array.from([...last.key, 0]),
        revision: revision === 0n ? this.#first.revision : revision,
      });
    }
    return {
      message: toBinary(RangeStreamResponseSchema, create(RangeStreamResponseSchema, { rangeResponse })),
      isLast,
    };
  }

  #limited(request: RangeRequest): RangeRequest {
    if (this.#asked.countOnly) return request;
    const left = this.#asked.limit === 0n ? this.#pageKeys : this.#asked.limit - this.#shown;
    return { ...request, limit: left < this.#pageKeys ? left : this.#pageKeys };
  }
}
