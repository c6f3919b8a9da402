import { groupOf, manyKeys } from "../cache/hot-ranges.ts";
import type { Clock } from "../ports.ts";
import { toLatin1 } from "../range/bytes.ts";
import { contains, type KeyRange, rangeId } from "../range/key-range.ts";
import { ProbeError } from "../watch/probe-flight.ts";
import { isRefusal } from "../watch/probe-refusal.ts";
import { PermissionBook } from "./permission-book.ts";

/** Ranges of many keys that are looked through for one that has another in it. */
const maxWide = 16;
/** Groups of which some keys were read. */
const maxGroups = 256;
/** After a refusal the group is not asked about for so long; its keys may be readable one by one. */
const refusedMs = 60_000;
const unansweredMs = 1_000;

/** What is asked about: keys that begin alike, of which some were read; or a range that is read. */
interface Group {
  readonly range: KeyRange;
  /** Those that were read, up to `manyKeys`. */
  readonly keys: Set<string>;
  /** It is not asked about before. */
  notBefore: number;
}

export interface ReadPermissionsOptions {
  readonly clock: Clock;
  /** For how long "allowed" is remembered, in milliseconds, from when it was asked; 0 is not at all. */
  readonly rememberMs: number;
  /** Every range is asked about: nobody notes how the reads of this credential went. */
  readonly asksFirst?: boolean;
  /** Asks etcd with the credential. @throws ProbeError with its refusal, or where there is no answer */
  ask(range: KeyRange): Promise<unknown>;
}

/**
 * What one credential may read, so that its reads may be answered under another (rules 18, 28). It is learned from the credential's own
 * reads, which cost nothing more: etcd's answer to one is its word that the range, and all in it, may be read. Where many keys that
 * begin alike are read one by one they are asked about together, once, and again while they are read.
 */
export class ReadPermissions {
  readonly #options: ReadPermissionsOptions;
  readonly #book: PermissionBook;
  /** Ranges of many keys: the last ones that were allowed. */
  #wide: KeyRange[] = [];
  readonly #groups = new Map<string, Group>();
  /** What was asked before this does not count. */
  #from = Number.NEGATIVE_INFINITY;

  constructor(options: ReadPermissionsOptions) {
    this.#options = options;
    this.#book = new PermissionBook(options);
  }

  /** Whether etcd has said so, and not too long ago. */
  isAllowed(range: KeyRange): boolean {
    const decided =
      this.#wide.find((one) => contains(one, range) && this.#book.isAllowed(one)) ??
      (this.#book.isAllowed(range) ? range : undefined);
    if (decided !== undefined) {
      const group = this.#groups.get(rangeId(decided));
      if (group !== undefined) this.#askInTime(group);
      return true;
    }
    if (this.#options.asksFirst === true) this.#askInTime(this.#groupOf(range));
    else if (range.t === "point") this.#noteKey(range.key);
    return false;
  }

  /** etcd has answered a read of the range that the credential has sent, at that time or later. */
  note(range: KeyRange, sentAt: number): void {
    if (sentAt < this.#from) return;
    this.#book.note(range, sentAt);
    if (range.t === "point") return;
    const id = rangeId(range);
    this.#wide = [range, ...this.#wide.filter((one) => rangeId(one) !== id)].slice(0, maxWide);
  }

  /** Users or roles have changed, or may have. */
  forget(): void {
    this.#from = this.#options.clock.nowMs() + 1;
    this.#book.forget();
    this.#wide = [];
    this.#groups.clear();
  }

  #noteKey(key: Uint8Array): void {
    const range = groupOf(key);
    if (range === undefined) return;
    const group = this.#groupOf(range);
    if (group.keys.size < manyKeys) group.keys.add(toLatin1(key));
    if (group.keys.size >= manyKeys) this.#askInTime(group);
  }

  #groupOf(range: KeyRange): Group {
    const id = rangeId(range);
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = { range, keys: new Set(), notBefore: 0 };
      this.#groups.set(id, group);
      const [oldest] = this.#groups.keys();
      if (this.#groups.size > maxGroups && oldest !== undefined) this.#groups.delete(oldest);
    }
    return group;
  }

  #askInTime(group: Group): void {
    if (this.#options.clock.nowMs() >= group.notBefore) void this.#ask(group);
  }

  /** Never rejects. */
  async #ask(group: Group): Promise<void> {
    const { clock, rememberMs, ask } = this.#options;
    const askedAt = clock.nowMs();
    // Asked again before it counts no more; nobody else asks meanwhile.
    group.notBefore = askedAt + Math.max(rememberMs / 2, unansweredMs);
    try {
      await ask(group.range);
      this.note(group.range, askedAt);
    } catch (error) {
      const isFinal = error instanceof ProbeError && isRefusal(error);
      group.notBefore = clock.nowMs() + (isFinal ? refusedMs : unansweredMs);
    }
  }
}
