/** A key and what etcd keeps of it. Texts, because all keys and values of a run are ASCII. */
export interface Stored {
  readonly key: string;
  readonly value: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** How many times it was put since it was created. */
  readonly version: bigint;
  /** 0 for none. */
  readonly lease: bigint;
}

/** A change that a watch tells, or that the store is known to have made. */
export interface ChangeEvent {
  readonly kind: "put" | "delete";
  /** Of a delete only the key and the mod revision. */
  readonly kv: Stored;
  readonly prev?: Stored;
}

/** The keys in `[key, end)`; one key without an end. */
export interface KeySpan {
  readonly key: string;
  readonly end?: string;
}

/** Whether a key lies in a span. Keys are ASCII, so that the order of texts is that of bytes. */
export function holds(span: KeySpan, key: string): boolean {
  return span.end === undefined ? key === span.key : key >= span.key && key < span.end;
}

/** Whether every key of one span lies in another. */
export function spanWithin(inner: KeySpan, outer: KeySpan): boolean {
  if (!holds(outer, inner.key)) return false;
  if (inner.end === undefined) return true;
  return outer.end === undefined ? inner.end === `${outer.key}\0` : inner.end <= outer.end;
}

/** As a person would write it: `a` or `[a, b)`. */
export function describeSpan({ key, end }: KeySpan): string {
  return end === undefined ? key : `[${key}, ${end})`;
}
