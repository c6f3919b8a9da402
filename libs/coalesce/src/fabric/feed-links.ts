import { type KeyRange, rangeId } from "../range/key-range.ts";
import { FeedLink } from "./feed-link.ts";
import type { Digest } from "./ports.ts";

/** Names of ranges that are remembered beside those of our own feeds. */
const maxTokens = 10_000;

/** Our own feeds, by range and by the short names (tokens) that ranges have between replicas. */
export class FeedLinks {
  readonly #digest: Digest;
  readonly #links = new Map<string, FeedLink>();
  readonly #byToken = new Map<string, FeedLink>();
  /** Of ranges, by their id. */
  readonly #tokens = new Map<string, string>();

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  get size(): number {
    return this.#links.size;
  }

  /** The one that has been there longest. */
  get first(): FeedLink | undefined {
    return this.#links.values().next().value;
  }

  all(): readonly FeedLink[] {
    return [...this.#links.values()];
  }

  find(range: KeyRange): FeedLink | undefined {
    return this.#links.get(rangeId(range));
  }

  named(token: string): FeedLink | undefined {
    return this.#byToken.get(token);
  }

  add(range: KeyRange, now: number): FeedLink {
    const link = new FeedLink(this.tokenOf(range), range, now);
    this.#links.set(rangeId(range), link);
    this.#byToken.set(link.token, link);
    return link;
  }

  delete(link: FeedLink): void {
    this.#links.delete(rangeId(link.range));
    this.#byToken.delete(link.token);
  }

  tokenOf(range: KeyRange): string {
    const id = rangeId(range);
    const known = this.#links.get(id)?.token ?? this.#tokens.get(id);
    if (known !== undefined) return known;
    const token = this.#digest(id);
    if (this.#tokens.size >= maxTokens) this.#tokens.clear();
    this.#tokens.set(id, token);
    return token;
  }
}
