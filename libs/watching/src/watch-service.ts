import {
  type Feed,
  FeedSpread,
  type HubCounters,
  type KeyRange,
  LogBudget,
  type SessionCounters,
  type SessionPort,
  type WatchCount,
  type WatchHub,
  WatchSession,
} from "@etcd-edge/coalesce";
import { type ChannelBalancer, endpointKey } from "@etcd-edge/endpoints";
import { StatusCode } from "@etcd-edge/transport";
import type { WatchIdentity } from "./watch-identity.ts";
import { type ScopeHub, type SessionTraits, WatchScopes } from "./watch-scopes.ts";
import type { WatchServiceOptions } from "./watch-service-options.ts";

/** Who opens a stream of watches. */
export interface WatchClient {
  readonly identity: WatchIdentity;
  /** Whether the stream is to end where there is no leader: the metadata `hasleader: true`. */
  readonly requiresLeader: boolean;
  /** Watches of the client's connection, counted here against their limit. */
  readonly connection: WatchCount;
}

const noSessions: ReadonlyMap<WatchSession, SessionTraits> = new Map();
const demanding: SessionTraits = { requiresLeader: true };
const modest: SessionTraits = { requiresLeader: false };

const checkMs = 1_000;
const noLeader = "etcdserver: no leader";

/** All watches of the process. Disposing ends the feeds; clients' streams are ended by whoever ends their calls. */
export class WatchService implements Disposable {
  readonly total: WatchCount = { watches: 0 };
  readonly counters: SessionCounters = { eventsOut: 0, createsRefused: 0 };
  readonly budget: LogBudget;
  stalledStreams = 0;
  /** Watches that ended because their client may no longer read what they watch. */
  revokedWatches = 0;
  readonly #options: WatchServiceOptions;
  readonly #scopes: WatchScopes;
  readonly #timers: { stop(): void }[] = [];
  readonly #spread: FeedSpread;

  constructor(options: WatchServiceOptions) {
    this.#options = options;
    this.budget = new LogBudget(options.logBytes);
    this.#spread = new FeedSpread(options.clock);
    this.#scopes = new WatchScopes({
      ...options,
      budget: this.budget,
      total: this.total,
      counters: this.counters,
      onRevoked: (watches) => {
        this.revokedWatches += watches;
      },
    });
    this.#every(checkMs, () => this.#check());
    this.#every(options.authRecheckMs, () => this.#recheck());
    this.#every(options.progressNotifyIntervalMs, () => this.#notifyProgress());
  }

  /** The hubs of all scopes, for metrics and explanations. */
  *scopes(): IterableIterator<ScopeHub & { readonly sessions: ReadonlyMap<WatchSession, SessionTraits> }> {
    yield* this.#scopes.all();
    if (this.#scopes.shared !== undefined) yield { ...this.#scopes.shared, sessions: noSessions };
  }

  /** All watches at etcd. */
  *feeds(): IterableIterator<Feed> {
    for (const hub of this.#scopes.hubs()) yield* hub.feeds();
  }

  /** How many feeds went from one member to another to spread them, since the start. */
  get spreadMoves(): number {
    return this.#spread.moves;
  }

  /** What hubs have counted, since the start. */
  counted(what: keyof HubCounters): number {
    return this.#scopes.counted(what);
  }

  /** Everything below this is compacted, as etcd has said to any of the scopes. */
  get compactRevision(): bigint {
    let highest = 0n;
    for (const { compactRevision } of this.#scopes.hubs())
      if (compactRevision > highest) highest = compactRevision;
    return highest;
  }

  /** Counts that other replicas and status pages are told. */
  stats(): ReadonlyMap<string, number> {
    let ingesting = 0;
    let following = 0;
    for (const { via } of this.feeds()) {
      if (via === "etcd") ingesting++;
      else if (via === "fabric") following++;
    }
    let streams = 0;
    for (const { sessions } of this.#scopes.all()) streams += sessions.size;
    return new Map([
      ["scopes", this.#scopes.size],
      ["streams", streams],
      ["watches", this.total.watches],
      ["watchers-coalescing", this.sharing().watchersCoalescing],
      ["feeds-ingesting", ingesting],
      ["feeds-following", following],
      ["log-bytes", this.budget.totalBytes],
    ]);
  }

  /** How much is shared now, and was. */
  sharing(): { readonly watchersCoalescing: number; readonly eventsCoalescing: number } {
    let watchersCoalescing = 0;
    for (const { size } of this.feeds()) watchersCoalescing += size > 1 ? size : 0;
    return { watchersCoalescing, eventsCoalescing: this.counted("sharedDeliveries") };
  }

  /** Opens a client's stream. `closed` is to be called when it is over. */
  openSession(port: SessionPort, client: WatchClient): WatchSession {
    const { balancer } = this.#options;
    const scope = this.#scopes.of(client.identity);
    const session = new WatchSession(scope.context, port, client.connection);
    scope.sessions.set(session, client.requiresLeader ? demanding : modest);
    if (client.requiresLeader && isLeaderless(balancer)) {
      void Promise.resolve().then(() => session.end(StatusCode.unavailable, noLeader));
    }
    return session;
  }

  /** A stream is over. */
  closed(session: WatchSession): void {
    this.#scopes.leave(session);
  }

  /** The highest revision that anybody of a scope can have been shown by a watch; 0 where it has none. */
  knownRevision(scope: string): bigint {
    return this.#scopes.find(scope)?.context.desk.known ?? 0n;
  }

  /**
   * Feeds for reads of a scope, whether or not somebody watches, until they are released: our own identity's, where there is one, which
   * all scopes share. `own` asks etcd with the scope's credential: what may be read from the feeds is decided by that.
   */
  holdHub(identity: WatchIdentity): {
    readonly hub: WatchHub;
    readonly own: WatchHub;
    readonly release: () => void;
  } {
    const scope = this.#scopes.of(identity);
    scope.holders++;
    let isHeld = true;
    return {
      hub: this.#scopes.wantShared() ?? scope.hub,
      own: scope.hub,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        scope.holders--;
        this.#scopes.dropUnused(identity.scope, scope);
      },
    };
  }

  /**
   * Asks etcd whether a credential may read a range.
   * @throws ProbeError with its refusal, or where there is no answer
   */
  async askPermission(identity: WatchIdentity, range: KeyRange): Promise<void> {
    const { own, release } = this.holdHub(identity);
    try {
      await own.probe(range);
    } finally {
      release();
    }
  }

  /**
   * The feeds of our own identity, which all share who may read what they bring; they stay, whoever lets go of them.
   * @throws TypeError where it has none now
   */
  holdSharedHub(): { readonly hub: WatchHub; readonly own: WatchHub; readonly release: () => void } {
    const hub = this.#scopes.wantShared();
    if (hub === undefined) throw new TypeError("there is no identity of ours");
    return { hub, own: hub, release: () => {} };
  }

  /** Before the process stops: a last word to watches that asked for progress, then streams end so that clients resume. */
  drain(): void {
    for (const { sessions } of this.#scopes.all()) {
      for (const session of [...sessions.keys()]) {
        session.notifyProgress(() => true);
        session.end(StatusCode.unavailable, "etcd-edge: the proxy is shutting down");
      }
    }
  }

  /** Another cluster has taken the place of the one that was watched (rule 32). */
  repin(): void {
    for (const hub of this.#scopes.hubs()) hub.repin();
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) timer.stop();
    this.#timers.length = 0;
    this.#scopes.close();
  }

  /** Users, roles, or whether there are any, may have changed: nothing that was decided counts, and all is asked again. */
  forgetPermissions(): void {
    for (const { book } of this.#scopes.all()) book.forget();
    this.#recheck();
  }

  #recheck(): void {
    for (const { revocation } of this.#scopes.all()) void revocation.run();
  }

  #check(): void {
    this.#endStreams();
    const members = [...this.#options.balancer.choices()];
    this.#spread.step(
      this.feeds(),
      new Map(members.map(([{ endpoint }, weight]) => [endpointKey(endpoint), weight])),
    );
  }

  /** Streams that nobody reads, and those that asked for a leader where there is none. */
  #endStreams(): void {
    const { balancer, clock, stallTimeoutMs } = this.#options;
    const leaderless = isLeaderless(balancer);
    const isStalled = (since: number | undefined): boolean =>
      stallTimeoutMs > 0 && since !== undefined && clock.nowMs() - since >= stallTimeoutMs;
    const text = `etcd-edge: the watch stream was not read for ${Math.round(stallTimeoutMs / 1000)}s`;
    for (const { sessions, hub } of this.scopes()) {
      // Without an array of them or a pair for each: there may be a hundred thousand, and this is every second.
      sessions.forEach(({ requiresLeader }, session) => {
        if (requiresLeader && leaderless) {
          session.end(StatusCode.unavailable, noLeader);
        } else if (isStalled(session.fullSince)) {
          this.stalledStreams++;
          session.end(StatusCode.unavailable, text);
        }
      });
      // Streams of a connection that takes nothing at all.
      const stalled = [...hub.lanes()].filter(({ stuckSince }) => isStalled(stuckSince));
      const streams = new Set(stalled.flatMap(({ watchers }) => watchers.map(({ stream }) => stream)));
      this.stalledStreams += streams.size;
      for (const stream of streams) stream.end(StatusCode.unavailable, text);
    }
  }

  /** As etcd does: a watch that got events since the last look needs no notification. */
  #notifyProgress(): void {
    for (const { sessions } of this.#scopes.all()) {
      for (const session of sessions.keys()) {
        session.notifyProgress((watcher) => !watcher.takeFreshness());
      }
    }
  }

  #every(intervalMs: number, act: () => void): void {
    const slot = this.#timers.length;
    const arm = (): void => {
      this.#timers[slot] = this.#options.clock.setTimer(intervalMs, () => {
        arm();
        act();
      });
    };
    this.#timers.push({ stop: () => {} });
    arm();
  }
}

/** Whether members answer, and none of them knows a leader (rule 16). */
function isLeaderless(balancer: ChannelBalancer): boolean {
  const members = balancer.snapshot();
  const hasNone = members.some(({ health }) => "error" in health && health.error === "has no leader");
  return hasNone && !balancer.hasHealthy();
}
