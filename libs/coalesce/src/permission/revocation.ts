import type { Clock } from "../ports.ts";
import { type KeyRange, rangeId } from "../range/key-range.ts";
import type { WatchSession } from "../watch/watch-session.ts";
import type { Watcher } from "../watch/watcher.ts";
import type { PermissionBook } from "./permission-book.ts";
import { findVerdict, type PermissionSource, type Verdict } from "./verdict.ts";

/** Of an identity of ours a watch gets nothing for longer than this without an answer of etcd's; then it is cancelled. */
const unknownForTooLong =
  "rpc error: code = Unavailable desc = etcd-edge: etcd did not say whether this may be read";

export interface RevocationOptions {
  readonly clock: Clock;
  readonly source: PermissionSource;
  readonly book: PermissionBook;
  /** The streams of the credential. */
  sessions(): Iterable<WatchSession>;
  /** Whether etcd itself watches over a watch, because it hangs on a feed of its own credential. */
  isOwn(watcher: Watcher): boolean;
  /** Whether all ranges share one answer: without a credential only auth itself can be on or off. */
  readonly isUniform: boolean;
  /** How long a watch waits for an answer, in milliseconds, before it is cancelled. */
  readonly graceMs: number;
  onRevoked(watches: number): void;
}

/**
 * Asks again and again whether the live watches of one credential may go on (rule 18).
 *
 *     live ──refused──▶ cancelled, in etcd's words
 *      ▲ │
 *      │ │ no answer, and it hangs on a feed of ours
 *      │ ▼
 *     paused ──no answer for `graceMs`──▶ cancelled
 */
export class Revocation {
  readonly #options: RevocationOptions;
  /** Since when a range has had no answer. */
  readonly #unansweredSince = new Map<string, number>();
  /** Ranges of which some watches are paused. */
  readonly #paused = new Set<string>();
  #running: Promise<void> | undefined = undefined;

  constructor(options: RevocationOptions) {
    this.#options = options;
  }

  /** Asks about everything once. Those who call meanwhile wait for the same. Never rejects. */
  run(): Promise<void> {
    this.#running ??= this.#checkAll().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #checkAll(): Promise<void> {
    const ranges = this.#ranges();
    for (const id of this.#unansweredSince.keys()) if (!ranges.has(id)) this.#unansweredSince.delete(id);
    // All at once: those that wait together are one question.
    await Promise.all([...ranges.values()].map((range) => this.#check(range)));
  }

  async #check(range: KeyRange): Promise<void> {
    const { clock, source, book } = this.#options;
    const askedAt = clock.nowMs();
    const verdict = await findVerdict(source, range);
    if (verdict.t === "allowed") book.note(range, askedAt);
    else book.forget(range);
    if (verdict.t !== "unanswered") this.#unansweredSince.delete(rangeId(range));
    this.#carryOut(verdict, range);
  }

  #carryOut(verdict: Verdict, range: KeyRange): void {
    switch (verdict.t) {
      case "allowed":
      case "kept":
        // Mostly there is nothing to do for what may be very many watches.
        if (!this.#paused.delete(rangeId(range))) return;
        for (const [session, watcher] of this.#watchersOf(range)) session.unpause(watcher);
        return;
      case "refused":
        this.#revoke(range, () => true, verdict.reason);
        return;
      case "unanswered":
        this.#holdBack(range);
        return;
      default:
        verdict satisfies never;
    }
  }

  #holdBack(range: KeyRange): void {
    const { clock, graceMs, isOwn } = this.#options;
    const id = rangeId(range);
    const since = this.#unansweredSince.get(id) ?? clock.nowMs();
    this.#unansweredSince.set(id, since);
    if (clock.nowMs() - since >= graceMs) {
      this.#revoke(range, (watcher) => !isOwn(watcher), unknownForTooLong);
      return;
    }
    for (const [session, watcher] of this.#watchersOf(range)) {
      if (isOwn(watcher) || watcher.isPaused) continue;
      session.pause(watcher);
      this.#paused.add(id);
    }
  }

  #revoke(range: KeyRange, isMeant: (watcher: Watcher) => boolean, reason: string): void {
    let count = 0;
    for (const [session, watcher] of this.#watchersOf(range)) {
      if (!isMeant(watcher)) continue;
      session.revoke(watcher, reason);
      count++;
    }
    if (count > 0) this.#options.onRevoked(count);
  }

  /** Every range that is watched, once; of a uniform credential one of them. */
  #ranges(): ReadonlyMap<string, KeyRange> {
    // Those that hang on one group have one object.
    const distinct = new Set<KeyRange>();
    for (const session of this.#options.sessions()) {
      for (const { range } of session.watchers) {
        distinct.add(range);
        if (this.#options.isUniform) break;
      }
      if (this.#options.isUniform && distinct.size > 0) break;
    }
    return new Map([...distinct].map((range) => [rangeId(range), range]));
  }

  /** As they are now; the list does not change while they are dealt with. */
  #watchersOf(range: KeyRange): readonly (readonly [WatchSession, Watcher])[] {
    const { isUniform } = this.#options;
    const id = rangeId(range);
    const found: [WatchSession, Watcher][] = [];
    for (const session of this.#options.sessions()) {
      for (const watcher of session.watchers) {
        if (isUniform || rangeId(watcher.range) === id) found.push([session, watcher]);
      }
    }
    return found;
  }
}
