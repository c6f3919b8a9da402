import type { Clock } from "../ports.ts";
import type { Feed } from "./feed.ts";

/** How long a member has to be there before feeds move to it: one that has just started is behind, or goes again. */
const settleMs = 5_000;
/** So many feeds move at once; the others stay where they are until these are there. */
const maxMoving = 64;
/** A move that has not covered what the feed knows by then is given up: the member is behind, or the range idle. */
const moveTimeoutMs = 10_000;

interface Member {
  readonly name: string;
  /** By how many feeds it has more than its share; negative where it has fewer. */
  surplus: number;
}

/**
 * Spreads feeds over members: they gather on those that stay when one goes, and go back, one by one and without a gap,
 * after it returns. Where an idle range cannot show how far it is (rule 4) only feeds move in which something happens
 * (rule 22): those that do not are no load either.
 */
export class FeedSpread {
  readonly #clock: Clock;
  /** Since when members are there. */
  readonly #since = new Map<string, number>();
  /** Feeds under way, since when, and how far each was. */
  readonly #moving = new Map<Feed, number>();
  /** How far feeds were when they were last looked at. */
  #heads = new WeakMap<Feed, bigint>();
  /** Moves begun so far. */
  moves = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Called now and then. Begins moves, and gives up those that take too long.
   * @param members who may be used now, with the weight of each; equal weights mean equal shares
   */
  step(feeds: Iterable<Feed>, members: ReadonlyMap<string, number>): void {
    this.#settle(members);
    this.#finish();
    const all = [...feeds].filter((feed) => !feed.isCatchUp && feed.via === "etcd");
    const counted = this.#count(all, members);
    const free = [...counted.values()].filter(({ name }) => this.#hasSettled(name));
    for (const feed of all) {
      if (this.#moving.size >= maxMoving) break;
      const from = counted.get(feed.member ?? "");
      const to = emptiest(free);
      if (from === undefined || to === undefined || from.surplus - to.surplus <= 1) continue;
      if (!this.#isMovable(feed)) continue;
      this.#move(feed, to.name);
      from.surplus--;
      to.surplus++;
    }
    for (const feed of all) this.#heads.set(feed, feed.log.head);
  }

  #move(feed: Feed, toward: string): void {
    feed.replace({ toward });
    this.#moving.set(feed, this.#clock.nowMs());
    this.moves++;
  }

  #isMovable(feed: Feed): boolean {
    if (feed.state !== "live" || feed.isMoving) return false;
    const head = this.#heads.get(feed);
    return feed.isProgressTrusted || (head !== undefined && feed.log.head > head);
  }

  #settle(members: ReadonlyMap<string, number>): void {
    for (const name of this.#since.keys()) if (!members.has(name)) this.#since.delete(name);
    const now = this.#clock.nowMs();
    for (const name of members.keys()) if (!this.#since.has(name)) this.#since.set(name, now);
  }

  #hasSettled(name: string): boolean {
    const since = this.#since.get(name);
    return since !== undefined && this.#clock.nowMs() - since >= settleMs;
  }

  #finish(): void {
    const now = this.#clock.nowMs();
    for (const [feed, since] of this.#moving) {
      if (feed.isMoving && now - since < moveTimeoutMs) continue;
      feed.abandonMove();
      this.#moving.delete(feed);
    }
  }

  /** Feeds that are on their way to a member count as that member's. */
  #count(feeds: readonly Feed[], members: ReadonlyMap<string, number>): Map<string, Member> {
    let weights = 0;
    for (const weight of members.values()) weights += weight;
    const counted = new Map<string, Member>();
    for (const [name, weight] of members) {
      const share = weights === 0 ? 1 / members.size : weight / weights;
      counted.set(name, { name, surplus: -feeds.length * share });
    }
    for (const feed of feeds) {
      const member = counted.get(feed.movingTo ?? feed.member ?? "");
      if (member !== undefined) member.surplus++;
    }
    return counted;
  }
}

function emptiest(members: readonly Member[]): Member | undefined {
  let least: Member | undefined;
  for (const member of members) if (least === undefined || member.surplus < least.surplus) least = member;
  return least;
}
