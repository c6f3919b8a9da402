/**
 * Whose keys a stream of watches sees. What is shared and what is shown to etcd are two things: several credentials may
 * see the same keys, and a token of one identity is renewed now and then.
 */
export interface WatchIdentity {
  /**
   * Streams with equal scopes share feeds. Whoever gives two streams one scope promises that what one of them may read
   * the other may read too, or has decided that for each range before it opened the watch.
   */
  readonly scope: string;
  /** What feeds and quorum reads of the scope show etcd; nothing for no credential. Asked anew for each call. */
  readonly credential: () => string | undefined;
  /** Fetches another credential where etcd no longer takes it; nothing where the client alone can. */
  readonly renew?: () => Promise<void>;
}

/** Everybody who shows one credential is one scope: etcd itself decides what they may read (rule 34). */
export function identityOfCredential(credential: string | undefined): WatchIdentity {
  return { scope: credential === undefined ? "" : `:${credential}`, credential: () => credential };
}
