import type { StoredEpochs } from "../epoch/stored-epochs.ts";
import type { GuardedStore } from "./guarded-store.ts";
import { decodeStoreEntry, encodeStoreEntry } from "./store-entry.ts";

/** Answers at a revision in the store that replicas share. Keys carry the cluster and the epoch of its history (rule 3). */
export class RemoteAnswers {
  readonly #store: GuardedStore;
  readonly #epochs: StoredEpochs;
  readonly #isPrivate: boolean;
  /** Entries that were of another format. */
  foreign = 0;

  /**
   * @param isPrivate strangers can neither read nor forge what is in the store: it asks for a password, or entries are sealed. One
   *   that is not takes nothing that was read with a credential (rule 37)
   */
  constructor(store: GuardedStore, epochs: StoredEpochs, isPrivate: boolean) {
    this.#store = store;
    this.#epochs = epochs;
    this.#isPrivate = isPrivate;
  }

  async get(key: string, hasCredential: boolean): Promise<Uint8Array | undefined> {
    const { prefix } = this.#epochs;
    if (prefix === undefined || (hasCredential && !this.#isPrivate)) return undefined;
    const entry = await this.#store.get(prefix + key);
    if (entry === undefined) return undefined;
    const body = decodeStoreEntry(entry);
    if (body === undefined) this.foreign++;
    return body;
  }

  set(key: string, revision: bigint, body: Uint8Array, ttlMs: number, hasCredential: boolean): void {
    if (hasCredential && !this.#isPrivate) return;
    const prefix = this.#epochs.prefixToWrite(revision);
    if (prefix !== undefined) this.#store.set(prefix + key, encodeStoreEntry(body), ttlMs);
  }
}
