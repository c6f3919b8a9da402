import type { Clock, Timer } from "../ports.ts";
import type { KeyRange } from "../range/key-range.ts";
import type { Feed } from "./feed.ts";

/** How often feeds are compared with the quorum (T of rule 16). */
export const checkMs = 1_000;
/** How far behind a quorum's answer a feed may be in time (T_lag of rule 16). */
export const lagMs = 2_000;
/** Quorums answer with every create: so often one is remembered. */
const noteMs = 250;
const maxQuorums = 240;

/** What the liveness check needs of the hub. */
export interface LivenessPort {
  readonly clock: Clock;
  /** The highest revision that was seen. */
  readonly known: bigint;
  feeds(): Iterable<Feed>;
  /** Asks a quorum; its answer comes back by `noteQuorum`. Rejects where there is none. */
  probe(range: KeyRange): Promise<unknown>;
  /** The revision of a member's own store, read on the connection of the feeds that are there. */
  memberRevision(member: string): Promise<bigint>;
  /** A feed is given another upstream watch, because a quorum has long been ahead of it. */
  onMove(feed: Feed, member: string, quorum: bigint): void;
  /** Once for every check, after it. */
  onChecked(): void;
}

/** Whether feeds are as far as the store: measured by their coverage, not by messages that come (rule 16). */
export class Liveness {
  readonly #port: LivenessPort;
  readonly #quorums: { readonly revision: bigint; readonly at: number }[] = [];
  #timer: Timer | undefined = undefined;

  constructor(port: LivenessPort) {
    this.#port = port;
  }

  /** Checks once a second from now on, for as long as there are feeds. */
  start(): void {
    this.#timer ??= this.#port.clock.setTimer(checkMs, () => void this.#check());
  }

  stop(): void {
    this.#timer?.stop();
    this.#timer = undefined;
  }

  /** A quorum has said how far the store is. */
  noteQuorum(revision: bigint): void {
    const now = this.#port.clock.nowMs();
    const last = this.#quorums.at(-1);
    if (last !== undefined && now - last.at < noteMs) return;
    this.#quorums.push({ revision, at: now });
    while (this.#quorums.length > maxQuorums) this.#quorums.shift();
  }

  /** For how long a quorum has been ahead of a revision, in milliseconds: 0 if none is, a minute at most. */
  lagOf(head: bigint): number {
    const first = this.#quorums.find(({ revision }) => revision > head);
    return first === undefined ? 0 : this.#port.clock.nowMs() - first.at;
  }

  /** How long ago a quorum was last seen to be no further than a revision: a minute where that was never. */
  ageOf(revision: bigint): number {
    const last = this.#quorums.findLast((one) => one.revision <= revision);
    return last === undefined ? maxQuorums * noteMs : this.#port.clock.nowMs() - last.at;
  }

  /** What quorums said is of another history. */
  forget(): void {
    this.#quorums.length = 0;
  }

  async #check(): Promise<void> {
    this.#timer = undefined;
    const [first] = this.#port.feeds();
    if (first === undefined) return;
    try {
      await this.#port.probe(first.range);
    } catch {
      // No quorum, no verdict: nobody is moved for being behind something that nobody knows.
    }
    const late = this.#quorumOfAge(lagMs);
    const stuck = this.#askBehind(late);
    if (late !== undefined) await this.#moveStuck(stuck, late);
    this.#port.onChecked();
    if (!this.#isIdle()) this.start();
  }

  #isIdle(): boolean {
    for (const _ of this.#port.feeds()) return false;
    return true;
  }

  /** What a quorum said at least `ageMs` ago. */
  #quorumOfAge(ageMs: number): bigint | undefined {
    const before = this.#port.clock.nowMs() - ageMs;
    return this.#quorums.findLast(({ at }) => at <= before)?.revision;
  }

  /** Asks feeds that are behind how far they are. @returns those that are behind what a quorum said a while ago */
  #askBehind(late: bigint | undefined): readonly Feed[] {
    const { known } = this.#port;
    const asked = new Set<string>();
    const stuck: Feed[] = [];
    for (const feed of this.#port.feeds()) {
      if (feed.state !== "live" || feed.log.head >= known) continue;
      // One request speaks for all watches of a stream.
      if (feed.streamId !== undefined && !asked.has(feed.streamId)) feed.requestProgress();
      asked.add(feed.streamId ?? "");
      if (!feed.isCatchUp && late !== undefined && feed.log.head < late) stuck.push(feed);
    }
    return stuck;
  }

  async #moveStuck(feeds: readonly Feed[], quorum: bigint): Promise<void> {
    // A range in which nothing happens looks the same as a member that is behind: the member's own store tells.
    // One that another replica watches is that replica's to judge.
    const judged = feeds.filter((feed) => feed.isProgressTrusted || feed.via === "etcd");
    const silent = new Set(judged.filter((feed) => !feed.isProgressTrusted).map(({ member }) => member));
    const isBehind = new Map<string | undefined, boolean>();
    for (const member of silent) {
      const revision =
        member === undefined ? undefined : await this.#port.memberRevision(member).catch(() => undefined);
      isBehind.set(member, revision !== undefined && revision < quorum);
    }
    for (const feed of judged) {
      const { member } = feed;
      if (member === undefined || feed.state !== "live" || feed.log.head >= quorum) continue;
      if (isBehind.get(member) === false) continue;
      this.#port.onMove(feed, member, quorum);
      feed.moveAway();
    }
  }
}
