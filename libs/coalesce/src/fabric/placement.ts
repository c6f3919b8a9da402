import { FeedRole } from "@etcd-edge/proto";
import { contains } from "../range/key-range.ts";
import type { UpstreamWatchRequest } from "../upstream/upstream-watch.ts";
import type { Feed } from "../watch/feed.ts";
import type { ScopeKnowledge } from "./fabric-context.ts";
import type { FeedLink } from "./feed-link.ts";
import { type Follower, memberName } from "./follower.ts";
import { followerOf } from "./follower-of.ts";
import { type Party, silenceMs } from "./interest-table.ts";
import { outranks, rankReplicas } from "./rendezvous.ts";

/** Who may be said to be before us opens at etcd; the others wait so long for each in front of them (rule 26). */
const rankWaitMs = 250;
/** For a range that is new here somebody else may be about to open it as well. */
const newcomerWaitMs = 30;
/** A replica that comes first for a range takes it back after it has been there for so long. */
const handBackMs = 5_000;
/** A move that has not succeeded by then is given up. */
const moveTimeoutMs = 5_000;
/** A wider feed has to have been there for so long before narrower ones go over to it. */
const wideSettleMs = 1_000;

/**
 * Who watches a range at etcd, and who lives on whose frames. All replicas of a scope decide it each for itself, by the same
 * rendezvous order over those who have exactly that range; to be wrong about it costs a second watch for a moment.
 */
export class Placement {
  readonly #scope: ScopeKnowledge;
  readonly #wantsPrevKv: (feed: Feed) => boolean;

  /** @param wantsPrevKv whether somebody elsewhere needs previous values of a feed */
  constructor(scope: ScopeKnowledge, wantsPrevKv: (feed: Feed) => boolean) {
    this.#scope = scope;
    this.#wantsPrevKv = wantsPrevKv;
  }

  // ---- for a watch that is opened ----

  /** What others have of a range that could serve a watch. */
  findTarget({ range, coverage, prevKv, avoid, isAlone }: UpstreamWatchRequest): Party | undefined {
    const { membership, links, table } = this.#scope;
    if (!membership.isActive) return undefined;
    const now = this.#now;
    const token = links.tokenOf(range);
    const link = isAlone ? undefined : links.find(range);
    let best: Party | undefined;
    for (const party of table.ingestersOf(range, token, now)) {
      if (memberName(party.replica) === avoid || party.isDraining || party.logBase > coverage) continue;
      if (prevKv && (party.prevKvBase === undefined || party.prevKvBase > coverage)) continue;
      if (party.feed !== token && link?.mayWiden(party.feed, now) === false) continue;
      if (best === undefined || this.#isBetterTarget(party, best)) best = party;
    }
    return best;
  }

  /** How long to wait for somebody else to open the range at etcd; 0 where that is ours to do. */
  patienceMs({ range, avoid, isAlone }: UpstreamWatchRequest): number {
    const { membership, links, table } = this.#scope;
    if (isAlone || !membership.isActive || table.replicas === 0) return 0;
    const isNew = links.find(range)?.isNew === true;
    return (isNew ? newcomerWaitMs : 0) + rankWaitMs * this.#rankOf(links.tokenOf(range), avoid);
  }

  // ---- for feeds that are there ----

  /** What is to become of one of our feeds, now that things may have changed. */
  step(link: FeedLink, now: number): void {
    const { feed } = link;
    if (feed === undefined || feed.state !== "live") return;
    if (feed.isMoving) {
      link.movingSince ??= now;
      if (now - link.movingSince > moveTimeoutMs) feed.abandonMove();
      else feed.urgeMove();
      return;
    }
    link.movingSince = undefined;
    if (!this.#scope.membership.isActive) return;
    if (link.role === FeedRole.INGESTING) this.#stepIngesting(link, feed, now);
    else this.#stepFollowing(link, feed, now);
  }

  /** Whether whom somebody lives on still has the watch. */
  checkTarget(follower: Follower, now: number): void {
    const { replica, feed } = follower.target;
    const isThere = this.#scope.table.find(replica, feed)?.role === FeedRole.INGESTING;
    if (!isThere) this.#moveOn(follower, now);
  }

  /** Whether something was heard of the feed that somebody lives on. */
  checkSilence(follower: Follower, now: number): void {
    if (now - follower.heardAt >= silenceMs) this.#moveOn(follower, now);
  }

  /** Whether others still need what we watch at etcd, and nobody who stays has it. */
  get isNeeded(): boolean {
    const { links, table } = this.#scope;
    const now = this.#now;
    return links.all().some(({ feed, role, token, range }) => {
      if (feed === undefined || role !== FeedRole.INGESTING || table.followersOf(token).size === 0)
        return false;
      return table.ingestersOf(range, token, now).every(({ isDraining }) => isDraining);
    });
  }

  get #now(): number {
    return this.#scope.context.clock.nowMs();
  }

  #isBetterTarget(a: Party, b: Party): boolean {
    if (a.feed === b.feed) return outranks(this.#scope.context.digest, a.feed, a.replica, b.replica);
    return contains(a.range, b.range);
  }

  /** Our place among those who have exactly this range and could open it. */
  #rankOf(token: string, avoid: string | undefined): number {
    const { id, digest } = this.#scope.context;
    const others = [...this.#scope.table.partiesOf(token)]
      .filter(({ replica, isDraining }) => !isDraining && memberName(replica) !== avoid)
      .map(({ replica }) => replica);
    return rankReplicas(digest, token, [id, ...others]).indexOf(id);
  }

  #stepIngesting(link: FeedLink, feed: Feed, now: number): void {
    const { context, membership, table } = this.#scope;
    if (feed.prevKvBase === undefined && this.#wantsPrevKv(feed)) feed.replace({ prevKv: true, via: "etcd" });
    if (feed.isMoving) return;
    for (const party of table.ingestersOf(feed.range, link.token, now)) {
      if (party.isDraining || !link.isAlmostReached(party.upto) || party.logBase > feed.log.head) continue;
      if (feed.wantsPrevKv && (party.prevKvBase === undefined || party.prevKvBase > feed.log.head)) continue;
      const isWider = party.feed !== link.token;
      const yields = isWider
        ? now - party.since >= wideSettleMs && link.mayWiden(party.feed, now)
        : outranks(context.digest, link.token, party.replica, context.id);
      if (!yields && !(membership.isDraining && !isWider)) continue;
      context.counters[membership.isDraining ? "handOvers" : "yields"]++;
      feed.replace({ via: "fabric", prevKv: feed.wantsPrevKv });
      link.movingSince = now;
      return;
    }
  }

  #stepFollowing(link: FeedLink, feed: Feed, now: number): void {
    const { context, membership } = this.#scope;
    const follower = followerOf(link.feed);
    if (follower === undefined || membership.isDraining) return;
    const { target } = follower;
    const isOwn = target.feed === link.token;
    const rank = this.#rankOf(link.token, target.isDraining ? memberName(target.replica) : undefined);
    const isOurs = rank === 0 && isOwn && now - link.since >= handBackMs;
    if (target.isDraining ? rank === 0 : isOurs) {
      if (!target.isDraining) context.counters.handBacks++;
      link.wasFollowing = target.isDraining;
      feed.replace({ via: "etcd", prevKv: feed.wantsPrevKv || this.#wantsPrevKv(feed) });
      link.movingSince = now;
      return;
    }
    // A wider feed is there, for at least as long as it takes to be sure of it.
    const wider = target.isDraining ? undefined : this.findTarget(asRequest(feed));
    if (wider === undefined || wider.feed === target.feed || now - wider.since < wideSettleMs) return;
    if (!contains(wider.range, target.range) || !link.isAlmostReached(wider.upto)) return;
    feed.replace({ via: "fabric", prevKv: feed.wantsPrevKv });
    link.movingSince = now;
  }

  #moveOn(follower: Follower, now: number): void {
    const { target, request } = follower;
    for (const party of this.#scope.table.ingestersOf(target.range, target.feed, now)) {
      if (party.feed !== target.feed || party.replica === target.replica) continue;
      if (request.prevKv && party.prevKvBase === undefined) continue;
      follower.retarget(party);
      return;
    }
    follower.cede(false);
  }
}

/** The watch that a feed would ask for if it went over to somebody else's frames. */
function asRequest(feed: Feed): UpstreamWatchRequest {
  return {
    ...{ range: feed.range, coverage: feed.log.head, startRevision: feed.log.head, isAlone: false },
    ...{ prevKv: feed.wantsPrevKv, avoid: undefined, toward: undefined, via: "fabric" },
  };
}
