import {
  createHubCounters,
  gatesOf,
  type HubCounters,
  type LogBudget,
  PermissionBook,
  Revocation,
  type SessionContext,
  type SessionCounters,
  TimeLimit,
  UpstreamPool,
  type WatchCount,
  type WatchDesk,
  WatchHub,
  type WatchSession,
} from "@etcd-edge/coalesce";
import type { ChannelBalancer } from "@etcd-edge/endpoints";
import { isAuthEnabled } from "./auth-state.ts";
import { createPermissionSource } from "./credential-permissions.ts";
import { QuorumReads } from "./quorum-reads.ts";
import { renewingSource } from "./renewing-source.ts";
import { UpstreamStreams } from "./upstream-streams.ts";
import { identityOfCredential, type WatchIdentity } from "./watch-identity.ts";
import type { WatchServiceOptions } from "./watch-service-options.ts";

/** The feeds of an identity, and what they read of etcd by. */
export interface ScopeHub {
  readonly hub: WatchHub;
  readonly pool: UpstreamPool;
}

export interface SessionTraits {
  readonly requiresLeader: boolean;
}

/** Everybody of one identity scope: they see the same keys, and share feeds. */
export interface Scope extends ScopeHub {
  /** What its sessions have in common. */
  readonly context: SessionContext;
  readonly sessions: Map<WatchSession, SessionTraits>;
  readonly book: PermissionBook;
  readonly revocation: Revocation;
  /** Of those who use its feeds and are no sessions. */
  holders: number;
}

/** What scopes are made of, beside what the service is. */
export type WatchScopesOptions = WatchServiceOptions & {
  readonly budget: LogBudget;
  /** Watches of the process. */
  readonly total: WatchCount;
  readonly counters: SessionCounters;
  /** So many watches have ended because their client may no longer read what they watch. */
  readonly onRevoked: (watches: number) => void;
};

const watchPath = "/etcdserverpb.Watch/Watch";
/** etcd cuts responses to watches that want fragments at its request limit: 1.5 MiB and the 512 KiB it adds. */
const fragmentBytes = 2 * 1024 * 1024;

/** The identity scopes of the process, each for as long as somebody is in it, and our own identity's feeds. */
export class WatchScopes {
  readonly #options: WatchScopesOptions;
  readonly #createLimit: TimeLimit;
  readonly #scopes = new Map<string, Scope>();
  /** Of an identity of ours, once it was wanted. */
  #shared: ScopeHub | undefined = undefined;
  /** Of scopes that are gone: counters do not go back. */
  readonly #past: HubCounters = createHubCounters();

  constructor(options: WatchScopesOptions) {
    this.#options = options;
    this.#createLimit = new TimeLimit(options.clock, options.createTimeoutMs);
  }

  get size(): number {
    return this.#scopes.size;
  }

  all(): IterableIterator<Scope> {
    return this.#scopes.values();
  }

  find(key: string): Scope | undefined {
    return this.#scopes.get(key);
  }

  *hubs(): IterableIterator<WatchHub> {
    for (const { hub } of this.#scopes.values()) yield hub;
    if (this.#shared !== undefined) yield this.#shared.hub;
  }

  /** Of our own identity, if it has been wanted. */
  get shared(): ScopeHub | undefined {
    return this.#shared;
  }

  /** The same, made where it is wanted; nothing while we have no identity. */
  wantShared(): WatchHub | undefined {
    const { service } = this.#options;
    if (service?.isReady !== true) return undefined;
    this.#shared ??= this.#createHub(`service/${service.user}`, service.balancer, service.credential, () =>
      service.refresh(),
    );
    return this.#shared.hub;
  }

  /** What hubs have counted, since the start. */
  counted(what: keyof HubCounters): number {
    let count = this.#past[what];
    for (const hub of this.hubs()) count += hub.counters[what];
    return count;
  }

  of({ scope: key, credential, renew }: WatchIdentity): Scope {
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const { balancer, findTransform, clock, limits, service, names } = this.#options;
    const { hub, pool } = this.#createHub(key, balancer, credential, renew);
    const sessions = new Map<WatchSession, SessionTraits>();
    const source = createPermissionSource({
      ...{ credential: credential(), hub, names, service, findTransform },
      isAuthOff: async () => (await isAuthEnabled(balancer)) === false,
    });
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
      onRevoked: this.#options.onRevoked,
    });
    const context: SessionContext = {
      desk: this.#createDesk(hub, book),
      clock,
      limits,
      total: this.#options.total,
      createLimit: this.#createLimit,
      fragmentBytes,
      refusesNegativeStart: () => refusesNegativeStart(balancer),
      counters: this.#options.counters,
    };
    const scope: Scope = { hub, pool, context, sessions, book, revocation, holders: 0 };
    this.#scopes.set(key, scope);
    return scope;
  }

  /** Ends the feeds of a scope that nobody is in any more. */
  dropUnused(key: string, scope: Scope): void {
    if (scope.sessions.size > 0 || scope.holders > 0 || this.#scopes.get(key) !== scope) return;
    scope.hub.close();
    for (const what of Object.keys(this.#past) as (keyof HubCounters)[])
      this.#past[what] += scope.hub.counters[what];
    this.#scopes.delete(key);
  }

  /** A stream is over. */
  leave(session: WatchSession): void {
    for (const [key, scope] of this.#scopes) {
      if (!scope.sessions.delete(session)) continue;
      this.dropUnused(key, scope);
      return;
    }
  }

  /** Ends all feeds. */
  close(): void {
    for (const hub of this.hubs()) hub.close();
    this.#scopes.clear();
    this.#shared = undefined;
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
  ): ScopeHub {
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
      budget: this.#options.budget,
      onEvent,
      epochs,
      createSharing: (port) => share?.(scope, port),
    });
    return { hub, pool };
  }

  #createDesk(own: WatchHub, book: PermissionBook): WatchDesk {
    const sharedHub = (): WatchHub | undefined => this.wantShared();
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
}

/** What an etcd of the cluster would do; all of them, while it is being upgraded. */
function refusesNegativeStart(balancer: ChannelBalancer): boolean {
  const upstreams = balancer.upstreams();
  return upstreams.some((one) => gatesOf(balancer.memberOf(one)?.version ?? "").refusesNegativeStart);
}
