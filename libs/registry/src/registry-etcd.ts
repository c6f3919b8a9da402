/** How long a question may take, and what takes it back. */
export interface AskOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What happened to one key under the prefix. */
export type RegistryEvent =
  | { readonly t: "put"; readonly key: string; readonly value: string }
  | { readonly t: "deleted"; readonly key: string };

/** Takes what a watch tells. */
export interface RegistryWatcher {
  /** One message of etcd's, in order. */
  onEvents(events: readonly RegistryEvent[]): void;
  /** The watch is over, and why. Called once, and not after it was stopped. */
  onEnd(reason: string): void;
}

/** What registration needs of etcd. Everything that asks rejects with an Error whose message is etcd's. */
export interface RegistryEtcd {
  /** @returns the lease and the seconds it got, which may be more than asked */
  grant(
    ttlSeconds: number,
    options: AskOptions,
  ): Promise<{ readonly id: bigint; readonly ttlSeconds: number }>;
  /** @returns the seconds the lease now has; 0 or less when there is no such lease */
  renew(leaseId: bigint, options: AskOptions): Promise<number>;
  revoke(leaseId: bigint, options: AskOptions): Promise<void>;
  put(entry: { key: string; value: string; leaseId: bigint }, options: AskOptions): Promise<void>;
  /**
   * Puts a key that nobody has, or that is under this lease already.
   * @returns false where it is under another lease, or none: nothing was changed
   */
  claim(entry: { key: string; value: string; leaseId: bigint }, options: AskOptions): Promise<boolean>;
  list(
    prefix: string,
    options: AskOptions,
  ): Promise<{ readonly revision: bigint; readonly entries: ReadonlyMap<string, string> }>;
  /** @returns how to stop, which tells the watcher nothing */
  watch(prefix: string, fromRevision: bigint, watcher: RegistryWatcher): () => void;
}
