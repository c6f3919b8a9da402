import { create, FeedRole, type FeedState, FeedStateSchema } from "@etcd-edge/proto";
import { type KeyRange, toRangeFields } from "../range/key-range.ts";
import type { Feed } from "../watch/feed.ts";

/** Who goes from a narrow range to a wider one and back waits so long before it goes there again (rule 17). */
const wideAgainMs = 60_000;

/** Others say how far they are twice in this time, at least. */
const recentMs = 1_500;

/** One of our own feeds, as others are told of it. */
export class FeedLink {
  readonly token: string;
  readonly range: KeyRange;
  /** Since when we have been one of those who have the range. */
  readonly since: number;
  /** Nothing for the moment between its watch being asked for and its being there. */
  feed: Feed | undefined = undefined;
  /** When a planned move was begun; nothing while there is none. */
  movingSince: number | undefined = undefined;
  /** Its first watch has been asked for and is not there yet. */
  isNew = true;
  /** Whether it lived on frames when it was last looked at. */
  wasFollowing = false;
  /** Token of the wider range whose frames it lives on. */
  wide: string | undefined = undefined;
  /** Wider ranges that it came back from, and when. */
  readonly #leftWide = new Map<string, number>();
  /** How far it was, now and then in the last two seconds. */
  #heads: { readonly at: number; readonly head: bigint }[] = [];
  /** What the others were told last. */
  #said = "";

  constructor(token: string, range: KeyRange, now: number) {
    this.token = token;
    this.range = range;
    this.since = now;
  }

  get role(): FeedRole {
    if (this.feed?.state !== "live") return FeedRole.STARTING;
    return this.feed.via === "etcd" ? FeedRole.INGESTING : FeedRole.FOLLOWING;
  }

  /** Called now and then. */
  noteHead(now: number): void {
    if (this.feed === undefined) return;
    this.#heads.push({ at: now, head: this.feed.log.head });
    while ((this.#heads[1]?.at ?? now) <= now - recentMs) this.#heads.shift();
  }

  /**
   * Whether somebody else is about as far: what is heard of others is a moment old, and events come all the time. A move
   * is made only when the new watch has covered all anyway.
   */
  isAlmostReached(upto: bigint): boolean {
    return upto >= (this.#heads[0]?.head ?? this.feed?.log.head ?? 0n);
  }

  /** It lives on the frames of this feed now; nothing for none. */
  follows(feed: string | undefined, now: number): void {
    const wide = feed === this.token ? undefined : feed;
    if (this.wide !== undefined && wide !== this.wide) this.#leftWide.set(this.wide, now);
    this.wide = wide;
  }

  /** Whether it may go over to a wider feed: at most once a minute to each. */
  mayWiden(feed: string, now: number): boolean {
    const leftAt = this.#leftWide.get(feed);
    if (leftAt === undefined) return true;
    if (now - leftAt < wideAgainMs) return false;
    this.#leftWide.delete(feed);
    return true;
  }

  /** What others are told. */
  describe(follows: string, wantsPrevKv: boolean, isDraining: boolean): FeedState {
    const { feed, role } = this;
    const base = feed?.prevKvBase;
    return create(FeedStateSchema, {
      range: toRangeFields(this.range),
      role,
      wantsPrevKv,
      isDraining,
      upto: feed?.log.head ?? 0n,
      logBase: feed?.log.base ?? 0n,
      canProgress: feed?.isProgressTrusted ?? false,
      follows,
      ...(base === undefined ? {} : { prevKvFrom: base }),
    });
  }

  /** Whether that is news, apart from how far it is. */
  isNews({ role, wantsPrevKv, isDraining, follows, canProgress, prevKvFrom }: FeedState): boolean {
    const said = `${role} ${wantsPrevKv} ${isDraining} ${follows} ${canProgress} ${prevKvFrom}`;
    if (said === this.#said) return false;
    this.#said = said;
    return true;
  }
}
