import type { CacheScope } from "@etcd-edge/coalesce";
import { identityOfCredential, type WatchService } from "@etcd-edge/watching";
import { ReadPlans } from "./read-plans.ts";

/** Past that the one that came first is forgotten: it begins anew. */
const maxScopes = 10_000;

/** What is known of reads with one credential. */
export interface ScopedPlans {
  readonly scope: CacheScope;
  readonly plans: ReadPlans;
}

/** The credentials of clients, and what is kept for each: nothing is shared between two of them. */
export class ReadScopes {
  readonly #watches: WatchService;
  readonly #toRequest: (payload: Buffer) => Uint8Array | undefined;
  readonly #scopes = new Map<string, ScopedPlans>();
  readonly #nobody: ScopedPlans;

  constructor(watches: WatchService, toRequest: (payload: Buffer) => Uint8Array | undefined) {
    this.#watches = watches;
    this.#toRequest = toRequest;
    this.#nobody = this.#create(undefined, false);
  }

  of(credential: string | undefined, hasLeader: boolean): ScopedPlans {
    if (credential === undefined && !hasLeader) return this.#nobody;
    const id = `${hasLeader ? "l" : "-"}${credential === undefined ? "" : `=${credential}`}`;
    let scope = this.#scopes.get(id);
    if (scope === undefined) {
      scope = this.#create(credential, hasLeader);
      this.#scopes.set(id, scope);
      if (this.#scopes.size > maxScopes) {
        const [oldest] = this.#scopes.keys();
        if (oldest !== undefined) this.#scopes.delete(oldest);
      }
    }
    return scope;
  }

  #create(credential: string | undefined, hasLeader: boolean): ScopedPlans {
    const identity = identityOfCredential(credential);
    return {
      scope: {
        id: identity.scope,
        read: { credential, hasLeader },
        openHub: () => this.#watches.holdHub(identity),
      },
      plans: new ReadPlans(this.#toRequest),
    };
  }
}
