import { type Backlog, type BacklogWanted, FeedRole, type ProgressWanted } from "@etcd-edge/proto";
import { toKeyRange, toRangeFields } from "../range/key-range.ts";
import type { UpstreamWatchRequest } from "../upstream/upstream-watch.ts";
import { answerBacklog } from "./backlog.ts";
import type { ScopeKnowledge } from "./fabric-context.ts";
import type { Party } from "./interest-table.ts";
import { payloadReserveBytes } from "./payload.ts";

const maxAnswerBytes = 512 << 10;
const minAnswerBytes = 1_024;

/** What followers ask of those they live on, for progress and for what they have missed: our questions and others'. */
export class QuestionDesk {
  readonly #scope: ScopeKnowledge;
  /** Questions of ours that are not answered, by their tag. */
  readonly #asked = new Map<bigint, (backlog: Backlog) => void>();
  /** Feeds by replica, until the end of the turn. */
  readonly #progressWanted = new Map<string, Set<string>>();
  #nextTag = 1n;

  constructor(scope: ScopeKnowledge) {
    this.#scope = scope;
  }

  /** Asks an ingester for what it has behind a revision. @returns the way to hear no answer any more */
  askBacklog(
    {
      target,
      request,
      after,
    }: {
      readonly target: Party;
      readonly request: UpstreamWatchRequest;
      readonly after: bigint;
    },
    onAnswer: (backlog: Backlog) => void,
  ): () => void {
    const tag = this.#nextTag++;
    this.#asked.set(tag, onAnswer);
    const { replica: to, feed } = target;
    const range = toRangeFields(request.range);
    const value = { to, tag, feed, after, range, wantsPrevKv: request.prevKv };
    this.#scope.membership.wire?.sayTo(to, { case: "backlogWanted", value });
    return () => void this.#asked.delete(tag);
  }

  onBacklog(backlog: Backlog): void {
    this.#asked.get(backlog.tag)?.(backlog);
  }

  /** Asks an ingester to ask etcd; all that want to know at the same moment together. */
  askProgress({ replica, feed }: Party): void {
    const feeds = this.#progressWanted.get(replica) ?? new Set();
    this.#progressWanted.set(replica, feeds.add(feed));
    if (this.#progressWanted.size > 1 || feeds.size > 1) return;
    void Promise.resolve().then(() => {
      for (const [to, wanted] of this.#progressWanted) {
        const value = { to, feeds: [...wanted] };
        this.#scope.membership.wire?.sayTo(to, { case: "progressWanted", value });
      }
      this.#progressWanted.clear();
    });
  }

  onProgressWanted({ to, feeds }: ProgressWanted): void {
    const { context, links } = this.#scope;
    if (to !== context.id) return;
    const streams = new Set<string | undefined>();
    for (const token of feeds) {
      const feed = links.named(token)?.feed;
      if (feed?.via !== "etcd" || feed.state !== "live") continue;
      // One request speaks for all watches of a stream.
      if (!streams.has(feed.streamId)) feed.requestProgress();
      streams.add(feed.streamId);
    }
  }

  onBacklogWanted(replica: string, wanted: BacklogWanted): void {
    const { context, links, table, membership } = this.#scope;
    if (wanted.to !== context.id) return;
    const { tag } = wanted;
    const link = links.named(wanted.feed);
    const range = wanted.range && toKeyRange(wanted.range);
    const feed = link?.role === FeedRole.INGESTING ? link.feed : undefined;
    const answer = feed && range && answerBacklog(feed, wanted, range, this.#answerBytes);
    if (answer === undefined || link === undefined || range === undefined) {
      membership.wire?.sayTo(replica, { case: "backlog", value: { tag, isRefused: true } });
      return;
    }
    // From this moment on it gets every frame.
    table.noteFollower(replica, link.token, range, links.tokenOf(range), context.clock.nowMs());
    const { frames, hasMore } = answer;
    membership.wire?.sayTo(replica, { case: "backlog", value: { tag, frames: [...frames], hasMore } });
  }

  get #answerBytes(): number {
    const most = this.#scope.context.bus.maxPayloadBytes - payloadReserveBytes;
    return Math.max(minAnswerBytes, Math.min(maxAnswerBytes, most));
  }
}
