import { FeedRole, type FeedState } from "@etcd-edge/proto";
import { contains, type KeyRange, lowerBound, toKeyRange } from "../range/key-range.ts";
import { RangeIndex } from "../range/range-index.ts";

/** One replica's feed of one range, as it was said last. */
export interface Party {
  readonly replica: string;
  /** Token of the range. */
  readonly feed: string;
  readonly range: KeyRange;
  role: FeedRole;
  wantsPrevKv: boolean;
  isDraining: boolean;
  upto: bigint;
  logBase: bigint;
  prevKvBase: bigint | undefined;
  canProgress: boolean;
  /** Token of the range of whose frames it lives; empty for none. */
  follows: string;
  /** When anything was heard of this feed. */
  heardAt: number;
  /** Since when it has been in its role. */
  since: number;
}

/** An ingester that was silent for so long is not followed any more (rule 26). */
export const silenceMs = 2_000;
/** Feeds that were not repeated for so long are forgotten. */
const expiryMs = 10_000;
/** Of one replica: what anybody can make up has a bound. */
const maxFeeds = 100_000;

/** Who has which feeds, in one identity scope: what others say of themselves. */
export class InterestTable {
  readonly #byReplica = new Map<string, Map<string, Party>>();
  readonly #byFeed = new Map<string, Map<string, Party>>();
  /** Feeds by their range, to find those around one. */
  readonly #ranges = new RangeIndex<string>();
  /** Who lives on the frames of a feed. */
  readonly #followers = new Map<string, Set<Party>>();
  readonly #rangeOf = new Map<string, KeyRange>();

  /** Other replicas with feeds in this scope. */
  get replicas(): number {
    return this.#byReplica.size;
  }

  find(replica: string, feed: string): Party | undefined {
    return this.#byFeed.get(feed)?.get(replica);
  }

  /** Who has a feed of exactly this range. */
  partiesOf(feed: string): Iterable<Party> {
    return this.#byFeed.get(feed)?.values() ?? [];
  }

  /** Everybody who lives on the frames of a feed. */
  followersOf(feed: string): ReadonlySet<Party> {
    return this.#followers.get(feed) ?? nobody;
  }

  /** Those who watch at etcd all of a range, and were heard lately. */
  ingestersOf(range: KeyRange, feed: string, now: number): readonly Party[] {
    const found: Party[] = [];
    const collect = (parties: Iterable<Party>): void => {
      for (const party of parties)
        if (isIngesting(party, now) && contains(party.range, range)) found.push(party);
    };
    collect(this.partiesOf(feed));
    this.#ranges.find(lowerBound(range), (wide) => {
      if (wide !== feed) collect(this.partiesOf(wide));
    });
    return found;
  }

  /**
   * Takes what a replica says of its feeds.
   * @param tokenOf the token of a range: what others call it does not count
   */
  update(
    replica: string,
    { states, isWhole }: { readonly states: readonly FeedState[]; readonly isWhole: boolean },
    tokenOf: (range: KeyRange) => string,
    now: number,
  ): void {
    const seen = new Set<string>();
    for (const state of states) {
      const range = state.range && toKeyRange(state.range);
      if (range === undefined) continue;
      const feed = tokenOf(range);
      seen.add(feed);
      if (state.role === FeedRole.GONE) this.#remove(replica, feed);
      else this.#put(replica, feed, range, state, now);
    }
    if (!isWhole) return;
    for (const feed of [...(this.#byReplica.get(replica)?.keys() ?? [])])
      if (!seen.has(feed)) this.#remove(replica, feed);
  }

  /** A replica has shown to live on frames of a feed. */
  noteFollower(replica: string, feed: string, range: KeyRange, own: string, now: number): void {
    const known = this.find(replica, own);
    if (known !== undefined) this.#follow(known, feed);
    else
      this.#add({
        ...{ replica, feed: own, range, role: FeedRole.STARTING, wantsPrevKv: false, isDraining: false },
        ...{ upto: 0n, logBase: 0n, prevKvBase: undefined, canProgress: false },
        ...{ follows: feed, heardAt: now, since: now },
      });
  }

  removeReplica(replica: string): void {
    for (const feed of [...(this.#byReplica.get(replica)?.keys() ?? [])]) this.#remove(replica, feed);
  }

  /** Forgets what was not repeated. */
  expire(now: number): void {
    for (const [replica, parties] of this.#byReplica) {
      for (const { feed, heardAt } of [...parties.values()])
        if (now - heardAt > expiryMs) this.#remove(replica, feed);
    }
  }

  /** Our own process has stood still: nobody is to be taken for silent for that. */
  forgive(now: number): void {
    for (const parties of this.#byReplica.values()) for (const party of parties.values()) party.heardAt = now;
  }

  clear(): void {
    this.#byReplica.clear();
    this.#byFeed.clear();
    this.#followers.clear();
    for (const token of [...this.#ranges.values()]) this.#forget(token);
  }

  #forget(feed: string): void {
    const range = this.#rangeOf.get(feed);
    this.#rangeOf.delete(feed);
    if (range !== undefined) this.#ranges.delete(range);
  }

  #follow(party: Party, feed: string): void {
    const before = this.#followers.get(party.follows);
    before?.delete(party);
    if (before?.size === 0) this.#followers.delete(party.follows);
    party.follows = feed;
    if (feed === "") return;
    const now = this.#followers.get(feed) ?? new Set<Party>();
    this.#followers.set(feed, now.add(party));
  }

  #put(replica: string, feed: string, range: KeyRange, state: FeedState, now: number): void {
    const { role, wantsPrevKv, isDraining, upto, logBase, canProgress, follows } = state;
    const said = { role, wantsPrevKv, isDraining, logBase, canProgress };
    const known = this.find(replica, feed);
    if (known === undefined) {
      const times = { heardAt: now, since: now };
      this.#add({ replica, feed, range, ...said, upto, prevKvBase: state.prevKvFrom, follows, ...times });
      return;
    }
    // A late message does not take it back.
    const isLate = known.role === role && known.upto > upto;
    if (known.role !== role) known.since = now;
    this.#follow(known, follows);
    Object.assign(known, said, {
      prevKvBase: state.prevKvFrom,
      heardAt: now,
      upto: isLate ? known.upto : upto,
    });
  }

  #add(party: Party): void {
    const { replica, feed } = party;
    const own = this.#byReplica.get(replica) ?? new Map<string, Party>();
    if (own.size >= maxFeeds) return;
    this.#byReplica.set(replica, own.set(feed, party));
    const all = this.#byFeed.get(feed) ?? new Map<string, Party>();
    this.#byFeed.set(feed, all.set(replica, party));
    this.#follow(party, party.follows);
    if (party.range.t === "point" || this.#rangeOf.has(feed)) return; // a key has no range inside
    this.#rangeOf.set(feed, party.range);
    this.#ranges.set(party.range, feed);
  }

  #remove(replica: string, feed: string): void {
    const own = this.#byReplica.get(replica);
    const party = own?.get(feed);
    if (party !== undefined) this.#follow(party, "");
    own?.delete(feed);
    if (own?.size === 0) this.#byReplica.delete(replica);
    const all = this.#byFeed.get(feed);
    all?.delete(replica);
    if (all?.size !== 0) return;
    this.#byFeed.delete(feed);
    this.#forget(feed);
  }
}

function isIngesting({ role, heardAt }: Party, now: number): boolean {
  return role === FeedRole.INGESTING && now - heardAt < silenceMs;
}

const nobody: ReadonlySet<Party> = new Set();
