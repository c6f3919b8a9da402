import {
  type Epochs,
  type Feed,
  type FeedSharing,
  FeedSpread,
  gatesOf,
  type HubCounters,
  type HubEvent,
  type HubPort,
  LogBudget,
  PermissionBook,
  Revocation,
  type SessionContext,
  type SessionCounters,
  type SessionPort,
  TimeLimit,
  UpstreamPool,
  type WatchCount,
  type WatchDesk,
  WatchHub,
  type WatchLimits,
  WatchSession,
} from "@etcd-edge/coalesce";
import { type ChannelBalancer, endpointKey } from "@etcd-edge/endpoints";
import type { ServiceIdentity, TokenNames } from "@etcd-edge/identity";
import type { Clock } from "@etcd-edge/runtime";
import { StatusCode } from "@etcd-edge/transport";
import { createPermissionSource } from "./credential-permissions.ts";
import type { FindMessageTransform } from "./message-transform.ts";
import { QuorumReads } from "./quorum-reads.ts";
import { renewingSource } from "./renewing-source.ts";
import { UpstreamStreams } from "./upstream-streams.ts";
import { identityOfCredential, type WatchIdentity } from "./watch-identity.ts";

/** What a watch service is made of. Durations in milliseconds. */
export interface WatchServiceOptions {
  readonly balancer: ChannelBalancer;
  readonly findTransform: FindMessageTransform;
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly logBytes: { readonly maxTotalBytes: number; readonly maxLogBytes: number };
  readonly progressNotifyIntervalMs: number;
  readonly createTimeoutMs: number;
  /** A stream that has not been read for this long while there was something for it is ended; 0 for never. */
  readonly stallTimeoutMs: number;
  readonly onEvent: (event: HubEvent) => void;
  /** Shares the feeds of an identity scope with other replicas; nothing where it is not shared. */
  readonly share?: ((scope: string, hub: HubPort) => FeedSharing | undefined) | undefined;
  /** What the process calls the histories it knows. */
  readonly epochs: Epochs;
  /** An identity of ours that feeds are shared under by all who may read them; without it only equal credentials share. */
  readonly service?: ServiceIdentity;
  readonly names: TokenNames;
  /** How often it is asked whether live watches may go on, and for how long an answer is remembered. */
  readonly authRecheckMs: number;
  /** How long a shared watch waits without an answer to that before it is cancelled. */
  readonly authGraceMs: number;
}

/** Who opens a stream of watches. */
export interface WatchClient {
  readonly identity: WatchIdentity;
  /** Whether the stream is to end where there is no leader: the metadata `hasleader: true`. */
  readonly requiresLeader: boolean;
  /** Watches of the client's connection, counted here against their limit. */
  readonly connection: WatchCount;
}

/** Everybody of one identity scope: they see the same keys, and share feeds. */
interface Scope {
  readonly hub: WatchHub;
  readonly pool: UpstreamPool;
  /** What its sessions have in common. */
  readonly context: SessionContext;
  readonly sessions: Map<WatchSession, SessionTraits>;
  readonly book: PermissionBook;
  readonly revocation: Revocation;
  /** Of those who use its feeds and are no sessions. */
  holders: number;
}

/** The feeds of an identity, and what they read of etcd by. */
interface Hub {
  readonly hub: WatchHub;
  readonly pool: UpstreamPool;
}

interface SessionTraits {
  readonly requiresLeader: boolean;
}

const noSessions: ReadonlyMap<WatchSession, SessionTraits> = new Map();
const demanding: SessionTraits = { requiresLeader: true };
const modest: SessionTraits = { requiresLeader: false };

const watchPath = "/etcdserverpb.Watch/Watch";
const checkMs = 1_000;
/** etcd cuts responses to watches that want fragments at its request limit: 1.5 MiB and the 512 KiB it adds. */
const fragmentBytes = 2 * 1024 * 1024;
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
  readonly #scopes = new Map<string, Scope>();
  /** Of an identity of ours, once it was wanted. */
  #shared: Hub | undefined = undefined;
  /** Of scopes that are gone: counters do not go back. */
  readonly #past: Record<keyof HubCounters, number> = {
    feedsOpened: 0,
    catchUpsOpened: 0,
    feedsLost: 0,
    feedsMoved: 0,
    resumes: 0,
    upstreamCreates: 0,
    eventsIn: 0,
    sharedDeliveries: 0,
  };
  readonly #timers: { stop(): void }[] = [];
  readonly #spread: FeedSpread;
  readonly #createLimit: TimeLimit;

  constructor(options: WatchServiceOptions) {
    this.#options = options;
    this.budget = new LogBudget(options.logBytes);
    this.#spread = new FeedSpread(options.clock);
    this.#createLimit = new TimeLimit(options.clock, options.createTimeoutMs);
    this.#every(checkMs, () => this.#check());
    this.#every(options.authRecheckMs, () => this.#recheck());
    this.#every(options.progressNotifyIntervalMs, () => this.#notifyProgress());
  }

  /** The hubs of all scopes, for metrics and explanations. */
  *scopes(): IterableIterator<Hub & { readonly sessions: ReadonlyMap<WatchSession, SessionTraits> }> {
    yield* this.#scopes.values();
    if (this.#shared !== undefined) yield { ...this.#shared, sessions: noSessions };
  }

  *#hubs(): IterableIterator<WatchHub> {
    for (const { hub } of this.#scopes.values()) yield hub;
    if (this.#shared !== undefined) yield this.#shared.hub;
  }

  /** All watches at etcd. */
  *feeds(): IterableIterator<Feed> {
    for (const hub of this.#hubs()) yield* hub.feeds();
  }

  /** How many feeds went from one member to another to spread them, since the start. */
  get spreadMoves(): number {
    return this.#spread.moves;
  }

  /** What hubs have counted, since the start. */
  counted(what: keyof HubCounters): number {
    let count = this.#past[what];
    for (const hub of this.#hubs()) count += hub.counters[what];
    return count;
  }

  /** Everything below this is compacted, as etcd has said to any of the scopes. */
  get compactRevision(): bigint {
    let highest = 0n;
    for (const { hub } of this.#scopes.values())
      if (hub.compactRevision > highest) highest = hub.compactRevision;
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
    for (const { sessions } of this.#scopes.values()) streams += sessions.size;
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
    const scope = this.#scopeOf(client.identity);
    const session = new WatchSession(scope.context, port, client.connection);
    scope.sessions.set(session, client.requiresLeader ? demanding : modest);
    if (client.requiresLeader && isLeaderless(balancer)) {
      void Promise.resolve().then(() => session.end(StatusCode.unavailable, noLeader));
    }
    return session;
  }

  /** A stream is over. */
  closed(session: WatchSession): void {
    for (const [key, scope] of this.#scopes) {
      if (!scope.sessions.delete(session)) continue;
      this.#dropUnused(key, scope);
      return;
    }
  }

  /** The highest revision that anybody of a scope can have been shown by a watch; 0 where it has none. */
  knownRevision(scope: string): bigint {
    return this.#scopes.get(scope)?.context.desk.known ?? 0n;
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
    const scope = this.#scopeOf(identity);
    scope.holders++;
    let isHeld = true;
    return {
      hub: this.#sharedHub() ?? scope.hub,
      own: scope.hub,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        scope.holders--;
        this.#dropUnused(identity.scope, scope);
      },
    };
  }

  /**
   * The feeds of our own identity, which all share who may read what they bring; they stay, whoever lets go of them.
   * @throws TypeError where it has none now
   */
  holdSharedHub(): { readonly hub: WatchHub; readonly own: WatchHub; readonly release: () => void } {
    const hub = this.#sharedHub();
    if (hub === undefined) throw new TypeError("there is no identity of ours");
    return { hub, own: hub, release: () => {} };
  }

  #dropUnused(key: string, scope: Scope): void {
    if (scope.sessions.size > 0 || scope.holders > 0 || this.#scopes.get(key) !== scope) return;
    scope.hub.close();
    for (const what of Object.keys(this.#past) as (keyof HubCounters)[])
      this.#past[what] += scope.hub.counters[what];
    this.#scopes.delete(key);
  }

  /** Before the process stops: a last word to watches that asked for progress, then streams end so that clients resume. */
  drain(): void {
    for (const { sessions } of this.#scopes.values()) {
      for (const session of [...sessions.keys()]) {
        session.notifyProgress(() => true);
        session.end(StatusCode.unavailable, "etcd-edge: the proxy is shutting down");
      }
    }
  }

  /** Another cluster has taken the place of the one that was watched (rule 32). */
  repin(): void {
    for (const hub of this.#hubs()) hub.repin();
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) timer.stop();
    this.#timers.length = 0;
    for (const hub of this.#hubs()) hub.close();
    this.#scopes.clear();
    this.#shared = undefined;
  }

  /** Users, roles, or whether there are any, may have changed: nothing that was decided counts, and all is asked again. */
  forgetPermissions(): void {
    for (const { book } of this.#scopes.values()) book.forget();
    this.#recheck();
  }

  #recheck(): void {
    for (const { revocation } of this.#scopes.values()) void revocation.run();
  }

  /** Under our own identity, while it has one. */
  #sharedHub(): WatchHub | undefined {
    const { service } = this.#options;
    if (service?.isReady !== true) return undefined;
    this.#shared ??= this.#createHub(`service/${service.user}`, service.balancer, service.credential, () =>
      service.refresh(),
    );
    return this.#shared.hub;
  }

  /**
   * @param scope names who sees what its feeds bring
   * @param renew fetches another credential where etcd no longer takes the one it is shown
   */
  #createHub(
    scope: string,
    balancer: ChannelBalancer,
    credential: () => string | undefined,
    renew?: () => Promise<void>,
  ): Hub {
    const { findTransform, clock, onEvent, share, epochs } = this.#options;
    const pool = new UpstreamPool(new UpstreamStreams(balancer, credential, findTransform(watchPath)));
    const reads = new QuorumReads({ balancer, credential, findTransform, ...(renew && { renew }) });
    const hub = new WatchHub({
      source: renew === undefined ? pool : renewingSource(pool),
      sendProbe: (ranges) => reads.probe(ranges),
      fetchPrevious: (previousOf, revision) => reads.previous(previousOf, revision),
      memberRevision: (member) => reads.memberRevision(member),
      readHeader: () => reads.header(),
      clock,
      budget: this.budget,
      onEvent,
      epochs,
      createSharing: (port) => share?.(scope, port),
    });
    return { hub, pool };
  }

  #createDesk(own: WatchHub, book: PermissionBook): WatchDesk {
    const sharedHub = (): WatchHub | undefined => this.#sharedHub();
    const known = (): bigint => {
      const shared = this.#shared?.hub.history.known ?? 0n;
      return shared > own.history.known ? shared : own.history.known;
    };
    return {
      own,
      ready: this.#options.service?.tried,
      get shared() {
        return sharedHub();
      },
      get known() {
        return known();
      },
      decide: (range) => book.decide(range),
    };
  }

  #scopeOf({ scope: key, credential, renew }: WatchIdentity): Scope {
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const { balancer, findTransform, clock, limits, service, names } = this.#options;
    const { hub, pool } = this.#createHub(key, balancer, credential, renew);
    const sessions = new Map<WatchSession, SessionTraits>();
    const source = createPermissionSource({ credential: credential(), hub, names, service, findTransform });
    const book = new PermissionBook({
      clock,
      rememberMs: this.#options.authRecheckMs,
      ask: (range) => hub.probe(range),
    });
    const revocation = new Revocation({
      clock,
      source,
      book,
      sessions: () => sessions.keys(),
      isOwn: (watcher) => watcher.hub === hub,
      isUniform: key === identityOfCredential(undefined).scope,
      graceMs: this.#options.authGraceMs,
      onRevoked: (watches) => {
        this.revokedWatches += watches;
      },
    });
    const context: SessionContext = {
      desk: this.#createDesk(hub, book),
      clock,
      limits,
      total: this.total,
      createLimit: this.#createLimit,
      fragmentBytes,
      refusesNegativeStart: () => refusesNegativeStart(balancer),
      counters: this.counters,
    };
    const scope: Scope = { hub, pool, context, sessions, book, revocation, holders: 0 };
    this.#scopes.set(key, scope);
    return scope;
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
    for (const { sessions } of this.#scopes.values()) {
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

/** What an etcd of the cluster would do; all of them, while it is being upgraded. */
function refusesNegativeStart(balancer: ChannelBalancer): boolean {
  const upstreams = balancer.upstreams();
  return upstreams.some((one) => gatesOf(balancer.memberOf(one)?.version ?? "").refusesNegativeStart);
}
