import type { EpochKeeper } from "./epoch.ts";
import type { GuardedStore } from "./guarded-store.ts";
import { decodeStoreEntry, encodeStoreEntry } from "./store-entry.ts";

/** Answers at a revision in the store that replicas share. Keys carry the cluster and the epoch of its history (rule 3). */
export class RemoteAnswers {
  readonly #store: GuardedStore;
  readonly #epoch: EpochKeeper;
  readonly #isPrivate: boolean;
  /** Entries that were of another format. */
  foreign = 0;

  /**
   * @param isPrivate strangers can neither read nor forge what is in the store: it asks for a password, or entries are sealed. One
   *   that is not takes nothing that was read with a credential (rule 37)
   */
  constructor(store: GuardedStore, epoch: EpochKeeper, isPrivate: boolean) {
    this.#store = store;
    this.#epoch = epoch;
    this.#isPrivate = isPrivate;
  }

  async get(key: string, hasCredential: boolean): Promise<Uint8Array | undefined> {
    const { prefix } = this.#epoch;
    if (prefix === undefined || (hasCredential && !this.#isPrivate)) return undefined;
    const entry = await this.#store.get(prefix + key);
    if (entry === undefined) return undefined;
    const body = decodeStoreEntry(entry);
    if (body === undefined) this.foreign++;
    return body;
  }

  set(key: string, revision: bigint, body: Uint8Array, ttlMs: number, hasCredential: boolean): void {
    if (hasCredential && !this.#isPrivate) return;
    const prefix = this.#epoch.prefixToWrite(revision);
    if (prefix !== undefined) this.#store.set(prefix + key, encodeStoreEntry(body), ttlMs);
  }
}
