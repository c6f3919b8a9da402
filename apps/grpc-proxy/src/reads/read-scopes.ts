import {
  type CacheScope,
  type RangePlan,
  type Reader,
  ReadPermissions,
  type ReadScopePlans,
} from "@etcd-edge/coalesce";
import { CertificateUsers, type ServiceIdentity } from "@etcd-edge/identity";
import type { Clock } from "@etcd-edge/runtime";
import { identityOfCredential, type WatchIdentity, type WatchService } from "@etcd-edge/watching";
import { type PlanBudget, ReadPlans } from "./read-plans.ts";

const maxPlans = 32_768;
/** Past that the one that came first is forgotten: it begins anew. */
const maxScopes = 10_000;

export interface ReadScopesOptions {
  readonly watches: WatchService;
  readonly clock: Clock;
  /** An identity of ours that reads are shared under by all who may read what they ask for. */
  readonly service: ServiceIdentity | undefined;
  /** For how long what etcd has allowed a credential is remembered, in milliseconds. */
  readonly rememberMs: number;
  /** Makes of a client's request the one for etcd; nothing where it is not to be answered here. */
  toRequest(payload: Buffer): Uint8Array | undefined;
  /** Whether a read of that plan may be answered here at all. */
  isPlain(plan: RangePlan): boolean;
}

/** One who reads, and the plans of it. */
interface KnownReader extends Reader {
  readonly plans: ReadPlans;
}

/** The credentials of clients, and what is kept for each, and the scope of those who share. */
export class ReadScopes {
  readonly #options: ReadScopesOptions;
  /** Without and with `hasleader`, by credential. */
  readonly #plain = new Map<string | undefined, KnownReader>();
  readonly #demanding = new Map<string | undefined, KnownReader>();
  readonly #nobody: KnownReader;
  readonly #budget: PlanBudget = { max: maxPlans, used: 0 };
  readonly #ours: { readonly plain: ReadScopePlans; readonly demanding: ReadScopePlans } | undefined;

  constructor(options: ReadScopesOptions) {
    this.#options = options;
    const { service } = options;
    this.#nobody = this.#createReader(undefined, false);
    this.#ours = service && {
      plain: this.#createOurs(service, false),
      demanding: this.#createOurs(service, true),
    };
  }

  /** @param identity of the credential: whose keys it sees, and what etcd is shown for it */
  of(credential: string | undefined, hasLeader: boolean, identity?: WatchIdentity): Reader {
    if (credential === undefined && !hasLeader) return this.#nobody;
    const readers = hasLeader ? this.#demanding : this.#plain;
    let reader = readers.get(credential);
    if (reader === undefined) {
      reader = this.#createReader(credential, hasLeader, identity);
      readers.set(credential, reader);
      if (readers.size > maxScopes) {
        const [[name, { plans }] = [credential, reader]] = readers;
        plans.clear();
        readers.delete(name);
      }
    }
    return reader;
  }

  /** The scope of those who share; nothing while etcd gives us no token, or wants none. */
  ours(hasLeader: boolean): ReadScopePlans | undefined {
    if (this.#options.service?.credential() === undefined) return undefined;
    return hasLeader ? this.#ours?.demanding : this.#ours?.plain;
  }

  /** Users or roles have changed, or may have. */
  forgetPermissions(): void {
    for (const readers of [this.#plain, this.#demanding])
      for (const { permissions } of readers.values()) permissions?.forget();
  }

  #createReader(
    credential: string | undefined,
    hasLeader: boolean,
    identity: WatchIdentity = identityOfCredential(credential),
  ): KnownReader {
    const { service, watches } = this.#options;
    const scope: CacheScope = {
      id: identity.scope,
      read: { credential, hasLeader },
      mayHold: () => credential === undefined || this.ours(hasLeader) === undefined,
      openHub: () => watches.holdHub(identity),
    };
    const isSharing = service !== undefined && credential !== undefined;
    // Tokens are made for a certificate's user, and made anew when etcd takes one no longer: such calls go alone.
    const goesAlone = CertificateUsers.isOne(credential);
    const permissions = isSharing ? this.#createPermissions(identity, goesAlone) : undefined;
    return { ...this.#withPlans(scope), permissions, ...(goesAlone && { goesAlone }) };
  }

  #createPermissions(identity: WatchIdentity, asksFirst: boolean): ReadPermissions {
    const { clock, rememberMs, watches } = this.#options;
    return new ReadPermissions({
      clock,
      rememberMs,
      asksFirst,
      ask: (range) => watches.askPermission(identity, range),
    });
  }

  #createOurs(service: ServiceIdentity, hasLeader: boolean): ReadScopePlans {
    return this.#withPlans({
      id: `service/${service.user}`,
      read: {
        get credential() {
          return service.credential();
        },
        hasLeader,
        isOurs: true,
      },
      openHub: () => this.#options.watches.holdSharedHub(),
    });
  }

  #withPlans(scope: CacheScope): ReadScopePlans & { readonly plans: ReadPlans } {
    const { toRequest, isPlain } = this.#options;
    const plans = new ReadPlans(toRequest, this.#budget);
    const planOf = (payload: Uint8Array): RangePlan | undefined => {
      const plan = plans.of(Buffer.isBuffer(payload) ? payload : Buffer.from(payload));
      return plan === undefined || isPlain(plan) ? plan : undefined;
    };
    return { scope, plans, planOf };
  }
}
