import { createHash, createHmac, randomBytes } from "node:crypto";
import type { Digest } from "@etcd-edge/coalesce";

/** Hexadecimal digits of a name: 128 bits. */
const digits = 32;

/**
 * Names that say nothing of what they stand for (tokens of users, keys of etcd) and cannot be made to collide: SHA-256, or
 * HMAC-SHA-256 where there is a key, so that nobody without it can tell by trying either.
 */
export function createDigest(key: Uint8Array | undefined): Digest {
  return (text) => {
    const hash = key === undefined ? createHash("sha256") : createHmac("sha256", key);
    return hash.update(text).digest("hex").slice(0, digits);
  };
}

/** A name that nobody else makes. */
export function randomName(): string {
  return randomBytes(8).toString("hex");
}
