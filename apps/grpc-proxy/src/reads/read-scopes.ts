import type { CacheScope } from "@etcd-edge/coalesce";
import { identityOfCredential, type WatchService } from "@etcd-edge/watching";
import { type PlanBudget, ReadPlans } from "./read-plans.ts";

const maxPlans = 32_768;
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
  /** Without and with `hasleader`, by credential. */
  readonly #plain = new Map<string | undefined, ScopedPlans>();
  readonly #demanding = new Map<string | undefined, ScopedPlans>();
  readonly #nobody: ScopedPlans;
  readonly #budget: PlanBudget = { max: maxPlans, used: 0 };

  constructor(watches: WatchService, toRequest: (payload: Buffer) => Uint8Array | undefined) {
    this.#watches = watches;
    this.#toRequest = toRequest;
    this.#nobody = this.#create(undefined, false);
  }

  of(credential: string | undefined, hasLeader: boolean): ScopedPlans {
    if (credential === undefined && !hasLeader) return this.#nobody;
    const scopes = hasLeader ? this.#demanding : this.#plain;
    let scope = scopes.get(credential);
    if (scope === undefined) {
      scope = this.#create(credential, hasLeader);
      scopes.set(credential, scope);
      if (scopes.size > maxScopes) {
        const [[name, { plans }] = [credential, scope]] = scopes;
        plans.clear();
        scopes.delete(name);
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
      plans: new ReadPlans(this.#toRequest, this.#budget),
    };
  }
}
