import { type RangeShape, readRangeQuery } from "@etcd-edge/proto";
import { isOfIdentity } from "../permission/identity-refusal.ts";
import { ReadPermissions } from "../permission/read-permissions.ts";
import type { Clock } from "../ports.ts";
import { type KeyRange, rangeId, toKeyRange } from "../range/key-range.ts";
import type { ReadFailure, ReadScope, Reads, SharedRead } from "./ports.ts";

/** Past that the credential that came first is forgotten: it begins anew. */
const maxCredentials = 10_000;
/** Ranges that etcd has refused our identity. */
const maxRefused = 1_000;

export interface ReadsUnderUserOptions {
  readonly clock: Clock;
  /** For how long what etcd has allowed a credential is remembered, in milliseconds (rule 18). */
  readonly rememberMs: number;
  /** Under each client's own credential. */
  readonly own: Reads;
  /** Under our identity, on connections that no client's calls travel on (rule 8). */
  readonly ours: Reads;
  /** What etcd is shown for our identity; nothing while there is no token, or etcd wants none. */
  readonly credential: () => string | undefined;
  /** Asks etcd with a client's credential. @throws ProbeError with its refusal, or where there is no answer */
  readonly ask: (credential: string, range: KeyRange) => Promise<unknown>;
  /** etcd has refused our identity. */
  readonly onRefused: (failure: ReadFailure) => void;
}

/**
 * Reads of all who may read the same share under an identity of ours, others under their own credential (rule 28), where nothing is
 * held or kept. `ReadDesk` is the same before a cache.
 */
export class ReadsUnderUser implements Reads {
  readonly #options: ReadsUnderUserOptions;
  readonly #permissions = new Map<string, ReadPermissions>();
  /** Until when our identity does not ask for a range again. */
  readonly #refused = new Map<string, number>();
  readonly #scopes: { readonly plain: ReadScope; readonly demanding: ReadScope };
  /** Reads that went under our name. */
  shared = 0;
  /** Of those, reads for which we were refused what their client may read. */
  refusals = 0;

  constructor(options: ReadsUnderUserOptions) {
    this.#options = options;
    this.#scopes = { plain: this.#createScope(false), demanding: this.#createScope(true) };
  }

  read(scope: ReadScope, shape: RangeShape, read: SharedRead): () => void {
    const { clock, credential, own, ours, onRefused } = this.#options;
    const range = credential() === undefined ? undefined : rangeOf(scope, read);
    if (range === undefined || scope.credential === undefined) return own.read(scope, shape, read);
    const permissions = this.#permissionsOf(scope.credential);
    const asClient = (): (() => void) => {
      const sentAt = clock.nowMs();
      return own.read(scope, shape, {
        ...read,
        settle: (result) => {
          if (result.t === "answered") permissions.note(range, sentAt);
          read.settle(result);
        },
      });
    };
    if (!permissions.isAllowed(range) || this.#isRefused(range)) return asClient();
    this.shared++;
    let leave = ours.read(scope.hasLeader ? this.#scopes.demanding : this.#scopes.plain, shape, {
      ...read,
      settle: (result) => {
        if (result.t !== "failed" || !isOfIdentity(result.failure)) {
          read.settle(result);
          return;
        }
        // What etcd says of us is nobody else's (rule 18).
        this.refusals++;
        this.#noteRefusal(range);
        onRefused(result.failure);
        leave = asClient();
      },
    });
    return () => leave();
  }

  /** Users or roles have changed, or may have. */
  forgetPermissions(): void {
    for (const permissions of this.#permissions.values()) permissions.forget();
    this.#refused.clear();
  }

  #createScope(hasLeader: boolean): ReadScope {
    const { credential } = this.#options;
    return {
      get credential() {
        return credential();
      },
      hasLeader,
      isOurs: true,
    };
  }

  #permissionsOf(credential: string): ReadPermissions {
    let permissions = this.#permissions.get(credential);
    if (permissions === undefined) {
      const { clock, rememberMs, ask } = this.#options;
      permissions = new ReadPermissions({ clock, rememberMs, ask: (range) => ask(credential, range) });
      this.#permissions.set(credential, permissions);
      forgetOldest(this.#permissions, maxCredentials);
    }
    return permissions;
  }

  #isRefused(range: KeyRange): boolean {
    const until = this.#refused.get(rangeId(range));
    return until !== undefined && this.#options.clock.nowMs() < until;
  }

  #noteRefusal(range: KeyRange): void {
    const { clock, rememberMs } = this.#options;
    this.#refused.set(rangeId(range), clock.nowMs() + rememberMs);
    forgetOldest(this.#refused, maxRefused);
  }
}

/** Nothing for a read whose permission says nothing of a later one. */
function rangeOf({ credential }: ReadScope, { request }: SharedRead): KeyRange | undefined {
  const query = credential === undefined ? undefined : readRangeQuery(request);
  return query === undefined || query.key.length === 0 ? undefined : toKeyRange(query);
}

function forgetOldest<V>(map: Map<string, V>, max: number): void {
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
