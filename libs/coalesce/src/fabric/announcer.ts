import { create, FeedRole, type FeedState, FeedStateSchema } from "@etcd-edge/proto";
import { toRangeFields } from "../range/key-range.ts";
import type { Feed } from "../watch/feed.ts";
import type { FeedAdvance } from "../watch/sharing.ts";
import { BeatSheet } from "./beat-sheet.ts";
import type { ScopeKnowledge } from "./fabric-context.ts";
import type { FeedLink } from "./feed-link.ts";
import { followerOf } from "./follower-of.ts";
import { splitFrame, toFrameMessage } from "./frame.ts";
import { payloadReserveBytes } from "./payload.ts";
import type { ScopeWire } from "./scope-wire.ts";

const beatMs = 500;
const refreshMs = 3_000;
const maxStatesPerMessage = 500;

/** Tells the others of a scope what we have: feeds and what becomes of them, signs of life, and frames. */
export class Announcer {
  readonly #scope: ScopeKnowledge;
  readonly #beats: BeatSheet;
  /** Feeds of which something may have changed, until the end of the turn. */
  readonly #news = new Set<FeedLink>();
  #refreshedAt = 0;
  #isFlushing = false;

  constructor(scope: ScopeKnowledge) {
    this.#scope = scope;
    this.#beats = new BeatSheet((beats) => this.#wire?.say({ case: "beats", value: { beats } }));
  }

  /** Says all we have and asks the others for theirs. */
  introduce(): void {
    this.#wire?.say({ case: "rollCall", value: {} });
    this.refresh();
  }

  /** Somebody speaks of feeds that we were not told of, or forgot. */
  askAgain(): void {
    if (this.#now - this.#refreshedAt >= beatMs) this.introduce();
  }

  /** Tells the others all we have. */
  refresh(): void {
    this.#refreshedAt = this.#now;
    this.#news.clear();
    const links = this.#scope.links.all();
    const states = links.map((link) => this.#describe(link));
    for (const [i, link] of links.entries()) {
      const state = states[i];
      if (state !== undefined) link.isNews(state);
    }
    // As one message it says that there is nothing else.
    this.#sayStates(states, states.length <= maxStatesPerMessage);
    if (states.length === 0) this.#wire?.say({ case: "feeds", value: { isWhole: true, states } });
  }

  /** Something may have changed about one of our feeds: they are told together, at the end of the turn. */
  look(link: FeedLink): void {
    this.#news.add(link);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    void Promise.resolve().then(() => {
      this.#isFlushing = false;
      const states = [...this.#news].map((one) => ({ one, state: this.#describe(one) }));
      this.#news.clear();
      const news = states.filter(({ one, state }) => one.isNews(state)).map(({ state }) => state);
      this.#sayStates(news, false);
    });
  }

  /** Feeds of ours are over. */
  gone(links: readonly FeedLink[]): void {
    for (const link of links) this.#news.delete(link);
    const states = links.map(({ range }) =>
      create(FeedStateSchema, { range: toRangeFields(range), role: FeedRole.GONE }),
    );
    if (states.length > 0) this.#wire?.say({ case: "feeds", value: { isWhole: false, states } });
  }

  /** What etcd has sent, to those who live on it. */
  publish(link: FeedLink, feed: Feed, { prev, upto, events, header }: FeedAdvance): void {
    const { table, context } = this.#scope;
    if (table.followersOf(link.token).size === 0) return;
    const { prevKvBase } = feed;
    const whole = { range: link.range, prev, upto, events, header, prevKvBase, isWithheld: false };
    for (const frame of splitFrame(whole, context.bus.maxPayloadBytes - payloadReserveBytes)) {
      if (frame.isWithheld) context.counters.framesWithheld++;
      this.#wire?.sayFrame(link.token, { case: "frame", value: toFrameMessage(frame) });
    }
  }

  /** A sign of life. @param isAnswer etcd was asked for progress and has answered */
  beat(link: FeedLink, feed: Feed, isAnswer: boolean): void {
    if (this.#wire === undefined || this.#scope.table.replicas === 0) return;
    const { log, prevKvBase } = feed;
    this.#beats.add({
      ...{ feed: link.token, prev: log.lastEvent, upto: log.head, logBase: log.base, isAnswer },
      ...(prevKvBase === undefined ? {} : { prevKvFrom: prevKvBase }),
    });
  }

  /** Called four times a second: says again what others may have missed. */
  tick(now: number): void {
    if (now - this.#refreshedAt >= refreshMs) this.refresh();
    if (!this.#beats.isDue(now, beatMs)) return;
    this.#beats.beganAt(now);
    for (const link of this.#scope.links.all()) {
      if (link.feed !== undefined && link.role === FeedRole.INGESTING) this.beat(link, link.feed, false);
    }
  }

  /** Nobody is there to be told. */
  clear(): void {
    this.#beats.clear();
  }

  get #now(): number {
    return this.#scope.context.clock.nowMs();
  }

  get #wire(): ScopeWire | undefined {
    return this.#scope.membership.wire;
  }

  #sayStates(states: readonly FeedState[], isWhole: boolean): void {
    for (let at = 0; at < states.length; at += maxStatesPerMessage) {
      const part = states.slice(at, at + maxStatesPerMessage);
      this.#wire?.say({ case: "feeds", value: { isWhole, states: part } });
    }
  }

  #describe(link: FeedLink): FeedState {
    const follows = followerOf(link.feed)?.target.feed ?? "";
    const wantsPrevKv = link.feed?.wantsPrevKv ?? false;
    return link.describe(follows, wantsPrevKv, this.#scope.membership.isDraining);
  }
}
