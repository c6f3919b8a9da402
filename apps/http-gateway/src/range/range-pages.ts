import {
  create,
  type RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeRequestSchema,
} from "@etcd-edge/proto";
import type { PageSizes } from "./page-sizes.ts";
import type { PageView } from "./page-view.ts";

/**
 * A range read page by page at the revision of its first page, so that nobody holds all of it. What comes of it is the
 * answer of one Range: the first page's header and count, everybody's keys.
 *
 * Only what etcd reads in the order of keys can be read so: a range without a sort, without filters by revision (which etcd
 * applies to all of it before the limit), and with keys as the answer.
 */
export class RangePages {
  readonly #asked: RangeRequest;
  readonly #sizes: PageSizes;
  #next: RangeRequest;
  #shown = 0n;
  #first: PageView | undefined;

  private constructor(request: RangeRequest, sizes: PageSizes) {
    this.#asked = request;
    this.#sizes = sizes;
    this.#next = this.#limited(request);
  }

  /** @returns nothing for a request that has to be read in one */
  static of(request: RangeRequest, sizes: PageSizes): RangePages | undefined {
    const { sortOrder, sortTarget, rangeEnd, countOnly } = request;
    const isByKey =
      sortTarget === RangeRequest_SortTarget.KEY && sortOrder !== RangeRequest_SortOrder.DESCEND;
    const isFiltered =
      request.minModRevision !== 0n ||
      request.maxModRevision !== 0n ||
      request.minCreateRevision !== 0n ||
      request.maxCreateRevision !== 0n;
    if (!isByKey || isFiltered || countOnly || rangeEnd.length === 0 || request.limit < 0n) return undefined;
    // Ascending by key is the order of the store; asked for by name etcd would read all of it for each page.
    return new RangePages({ ...request, sortOrder: RangeRequest_SortOrder.NONE }, sizes);
  }

  /** What to ask next. */
  get request(): RangeRequest {
    return this.#next;
  }

  /** Keys in the range: what `count` is in the whole answer. */
  get count(): bigint {
    return this.#first?.count ?? 0n;
  }

  /**
   * Takes the answer to {@link request}.
   * @param pageBytes its size
   * @returns whether there is more to ask for
   */
  take(page: PageView, pageBytes: number): boolean {
    this.#first ??= page;
    this.#shown += BigInt(page.keys);
    if (page.keys > 0) this.#sizes.learn(this.#asked, pageBytes / page.keys);
    if (!page.more || page.lastKey === undefined || this.#shown === this.#asked.limit) return false;
    const { revision } = this.#asked;
    this.#next = this.#limited({
      ...this.#next,
      key: Uint8Array.from([...page.lastKey, 0]),
      revision: revision === 0n ? this.#first.revision : revision,
    });
    return true;
  }

  /** Whether the range has keys beyond those that were asked for: what `more` is in the whole answer. */
  get hasMore(): boolean {
    return this.count > this.#shown;
  }

  #limited(request: RangeRequest): RangeRequest {
    const pageKeys = this.#sizes.keysFor(this.#asked);
    const left = this.#asked.limit === 0n ? pageKeys : this.#asked.limit - this.#shown;
    return create(RangeRequestSchema, { ...request, limit: left < pageKeys ? left : pageKeys });
  }
}
