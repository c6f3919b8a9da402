import type { EtcdClient } from "./etcd-client.ts";
import type { OpenPlace } from "./open-place.ts";
import { isAtLeast } from "./version-gate.ts";

/** UTF-8 of a text, in the class that grpc-js hands out, so that the two compare equal. */
export function bytes(text: string): Buffer {
  return Buffer.from(text);
}

/** What one behaviour is checked with: a connection, and keys that no other test touches. */
export class Context {
  readonly etcd: EtcdClient;
  readonly open: OpenPlace;
  readonly #prefix: string;

  constructor(open: OpenPlace, etcd: EtcdClient, prefix: string) {
    this.open = open;
    this.etcd = etcd;
    this.#prefix = prefix;
  }

  get version(): string {
    return this.open.place.version;
  }

  /** See {@link isAtLeast}. */
  has(since: Readonly<Record<string, number>>): boolean {
    return isAtLeast(this.version, since);
  }

  /** A key of this test's own, as the client writes it. */
  readonly key = (name: string): Buffer => bytes(`${this.#prefix}${name}`);

  /** The same key as etcd has it: permissions name these. */
  readonly keyInEtcd = (name: string): Buffer => bytes(`${this.open.place.namespace}${this.#prefix}${name}`);

  /** The part of a key behind this test's prefix. @throws Error for a key of another test */
  readonly nameOf = (key: Uint8Array): string => {
    const text = new TextDecoder().decode(key);
    if (!text.startsWith(this.#prefix)) throw new Error(`the key ${JSON.stringify(text)} is not this test's`);
    return text.slice(this.#prefix.length);
  };
}
