import { createHmac, timingSafeEqual } from "node:crypto";
import type { SharedStore } from "@etcd-edge/coalesce";

const macBytes = 32; // HMAC-SHA256

/** A store whose entries carry a message authentication code. */
export interface SealedStore extends SharedStore {
  /** Entries that were there and did not verify. */
  readonly rejected: number;
}

/**
 * Entries carry a code over key and value, so that only holders of `key` can write what is believed, and no entry stands in for another
 * (rule 37). What does not verify is not there, and counted. Values can still be read by whoever can read the store.
 */
export function sealStore(inner: SharedStore, key: Uint8Array): SealedStore {
  let rejected = 0;
  // Those with another key, or none, have entries of their own: nobody writes over anybody's.
  const id = createHmac("sha256", key).update("id").digest("base64url").slice(0, 8);
  const nameOf = (name: string): string => `${id}/${name}`;
  const mac = (name: string, value: Uint8Array): Buffer =>
    createHmac("sha256", key).update(name, "latin1").update("\0").update(value).digest();
  return {
    get rejected() {
      return rejected;
    },
    async get(name) {
      const sealed = await inner.get(nameOf(name));
      if (sealed === undefined) return undefined;
      const value = sealed.subarray(macBytes);
      if (sealed.length >= macBytes && timingSafeEqual(mac(name, value), sealed.subarray(0, macBytes)))
        return value;
      rejected++;
      return undefined;
    },
    set: (name, value, ttlMs) => inner.set(nameOf(name), Buffer.concat([mac(name, value), value]), ttlMs),
  };
}
