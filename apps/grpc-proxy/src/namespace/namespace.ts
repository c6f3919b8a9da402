import type { KeyRewriting } from "@etcd-edge/proto";

/** A namespace: all keys that begin with a prefix, seen without it. */
export interface Namespace {
  /** From a client's keys to etcd's. */
  readonly scope: KeyRewriting;
  /** From etcd's keys to a client's. Throws RangeError for a key outside the namespace. */
  readonly unscope: KeyRewriting;
}

/** `--namespace`, used verbatim: no slash is added. */
export function createNamespace(prefix: Uint8Array): Namespace {
  const upperBound = endOfPrefix(prefix);
  return {
    scope: {
      key: (value) => Buffer.concat([prefix, value]),
      rangeEnd: (value) => (isToTheEnd(value) ? upperBound : Buffer.concat([prefix, value])),
      keyOfList: (value) => Buffer.concat([prefix, value]),
    },
    unscope: {
      key: (value) => {
        if (!startsWith(value, prefix))
          throw new RangeError("etcd answered with a key outside the namespace");
        return value.subarray(prefix.length);
      },
      rangeEnd: (value) => value,
      keyOfList: (value) => (startsWith(value, prefix) ? value.subarray(prefix.length) : undefined),
    },
  };
}

/**
 * The first key behind all keys with this prefix, in etcd's notation: the prefix without trailing 0xff bytes, its last
 * byte one higher; `\0`, "to the end", where nothing is left. etcd's proxy keeps the length instead (`a\xff` gives
 * `b\0`), which lets the key `b` into the namespace.
 */
export function endOfPrefix(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i];
    if (byte === undefined || byte === 0xff) continue;
    const end = Uint8Array.from(prefix.subarray(0, i + 1)); // a copy: slice of a Buffer is a view
    end[i] = byte + 1;
    return end;
  }
  return Uint8Array.of(0);
}

function isToTheEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

function startsWith(value: Uint8Array, prefix: Uint8Array): boolean {
  if (value.length < prefix.length) return false;
  return prefix.every((byte, i) => value[i] === byte);
}
