import { endOfPrefix } from "@etcd-edge/coalesce";
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

function isToTheEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

function startsWith(value: Uint8Array, prefix: Uint8Array): boolean {
  if (value.length < prefix.length) return false;
  return prefix.every((byte, i) => value[i] === byte);
}
