import {
  create,
  isMessage,
  type Message,
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
  #isDone = false;

  private constructor(request: RangeRequest, sizes: PageSizes) {
    this.#asked = request;
    this.#sizes = sizes;
    this.#next = this.#limited(request);
  }

  /** @returns nothing for a request that has to be read in one */
  static of(request: Message, sizes: PageSizes): RangePages | undefined {
    if (!isMessage(request, RangeRequestSchema)) return undefined;
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
   */
  take(page: PageView, pageBytes: number): void {
    this.#first ??= page;
    const isLast = !page.more || page.lastKey === undefined;
    this.takePart(page, pageBytes);
    if (isLast) this.finish();
  }

  /** Takes some of the answer to {@link rest}. @param partBytes its size */
  takePart({ keys, lastKey }: PageView, partBytes: number): void {
    if (lastKey === undefined) return;
    this.#shown += BigInt(keys);
    this.#sizes.learn(this.#asked, partBytes / keys);
    const { revision } = this.#asked;
    this.#next = this.#limited({
      ...this.#next,
      key: Uint8Array.from([...lastKey, 0]),
      revision: revision === 0n ? (this.#first?.revision ?? 0n) : revision,
    });
    if (this.#shown === this.#asked.limit) this.finish();
  }

  /** The answer to {@link rest} is over, or that to {@link request} was the last. */
  finish(): void {
    this.#isDone = true;
  }

  /** Whether nothing is left to ask. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** All that is left, for who can read it in one. */
  get rest(): RangeRequest {
    const { limit } = this.#asked;
    return create(RangeRequestSchema, { ...this.#next, limit: limit === 0n ? 0n : limit - this.#shown });
  }

  /** Whether what is left is more than a page. */
  get isLong(): boolean {
    const { limit } = this.#asked;
    const wanted = limit === 0n || limit > this.count ? this.count : limit;
    return wanted - this.#shown > this.#sizes.keysFor(this.#asked);
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
