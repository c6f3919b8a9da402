import type { Answer } from "../history/operation.ts";
import {
  type Action,
  type Compare,
  hasWritten,
  type SimpleAction,
  type SimpleAnswer,
} from "../history/operation.ts";
import { type ChangeEvent, holds, type KeySpan, type Stored } from "../history/stored.ts";
import type { Model } from "./search.ts";

/** An operation on the keys of one component, as far as it is known. */
export type KvOperation =
  | { readonly t: "answered"; readonly action: Action; readonly answer: Answer; readonly revision: bigint }
  /** Nothing is known but what was asked: its writes may have been done. */
  | { readonly t: "unknown"; readonly action: Action }
  /** Somebody made these changes at this revision: a lease that ran out, or a call whose answer was lost. */
  | { readonly t: "effect"; readonly events: readonly ChangeEvent[]; readonly revision: bigint };

/** Keys and the revision of the last write of those whose revision is known. */
export interface KvState {
  readonly revision: bigint;
  readonly keys: ReadonlyMap<string, Stored>;
}

/** Stands for a revision that nobody was told. */
const unknownRevision = -1n;

/**
 * etcd's key space under gets, puts, deletes and transactions. Revisions in answers are part of the promise, and prune
 * the search: a write can only come where all writes with a lower revision are done, and a read only between two.
 *
 * @param revisions of every write in the history whose revision is known, each once
 */
export function createKvModel(initial: KvState, revisions: readonly bigint[]): Model<KvState, KvOperation> {
  const sorted = [...new Set(revisions)].sort((a, b) => (a < b ? -1 : 1));
  const before = new Map(sorted.map((revision, i) => [revision, sorted[i - 1] ?? initial.revision]));
  const mayWriteAt = (state: KvState, revision: bigint): boolean => before.get(revision) === state.revision;
  const mayReadAt = (state: KvState, revision: bigint): boolean =>
    revision >= state.revision && lastUpTo(sorted, revision, initial.revision) === state.revision;
  return {
    initial,
    stateKey: ({ revision, keys }) => {
      const entries = [...keys.values()].map(
        (kv) => `${kv.key}=${kv.value}@${kv.createRevision}.${kv.modRevision}.${kv.version}`,
      );
      return `${revision} ${entries.sort().join()}`;
    },
    step: (state, operation) => {
      switch (operation.t) {
        case "answered": {
          const writes = hasWritten(operation.answer);
          const fits = writes ? mayWriteAt : mayReadAt;
          if (!fits(state, operation.revision)) return undefined;
          const keys = new Map(state.keys);
          if (!explain(keys, operation.action, operation.answer, operation.revision)) return undefined;
          return { revision: writes ? operation.revision : state.revision, keys };
        }
        case "unknown": {
          const keys = new Map(state.keys);
          const { action } = operation;
          const isMet = action.t === "txn" && action.compares.every((one) => matches(keys, one));
          const steps = action.t === "txn" ? (isMet ? action.success : action.failure) : [action];
          for (const step of steps) apply(keys, step, unknownRevision);
          return { revision: state.revision, keys };
        }
        case "effect": {
          if (!mayWriteAt(state, operation.revision)) return undefined;
          const keys = new Map(state.keys);
          for (const { kind, kv } of operation.events) {
            if (kind === "put") keys.set(kv.key, kv);
            else if (!keys.delete(kv.key)) return undefined;
          }
          return { revision: operation.revision, keys };
        }
        default:
          return operation satisfies never;
      }
    },
  };
}

/** The highest of a sorted list that is no higher than `limit`. */
function lastUpTo(sorted: readonly bigint[], limit: bigint, otherwise: bigint): bigint {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0n) <= limit) low = middle + 1;
    else high = middle;
  }
  return sorted[low - 1] ?? otherwise;
}

/** Does the action on `keys`. @returns whether the store could have answered like this */
function explain(keys: Map<string, Stored>, action: Action, answer: Answer, revision: bigint): boolean {
  if (action.t !== "txn") return answer.t !== "txn" && explainStep(keys, action, answer, revision);
  if (answer.t !== "txn") return false;
  const isMet = action.compares.every((one) => matches(keys, one));
  if (isMet !== answer.succeeded) return false;
  const steps = isMet ? action.success : action.failure;
  return (
    steps.length === answer.answers.length &&
    steps.every((step, i) => {
      const one = answer.answers[i];
      return one !== undefined && explainStep(keys, step, one, revision);
    })
  );
}

function explainStep(
  keys: Map<string, Stored>,
  action: SimpleAction,
  answer: SimpleAnswer,
  revision: bigint,
): boolean {
  switch (action.t) {
    case "put":
      apply(keys, action, revision);
      return answer.t === "put";
    case "delete":
      return answer.t === "delete" && apply(keys, action, revision) === answer.deleted;
    case "range":
      return answer.t === "range" && isSame(within(keys, action.span), answer.kvs);
    default:
      return action satisfies never;
  }
}

/** @returns how many keys are gone */
function apply(keys: Map<string, Stored>, action: SimpleAction, revision: bigint): number {
  switch (action.t) {
    case "put": {
      const { key, value, lease } = action;
      const old = keys.get(key);
      const createRevision = old?.createRevision ?? revision;
      keys.set(key, {
        key,
        value,
        lease,
        createRevision,
        modRevision: revision,
        version: (old?.version ?? 0n) + 1n,
      });
      return 0;
    }
    case "delete": {
      const gone = within(keys, action.span);
      for (const { key } of gone) keys.delete(key);
      return gone.length;
    }
    case "range":
      return 0;
    default:
      return action satisfies never;
  }
}

function within(keys: ReadonlyMap<string, Stored>, span: KeySpan): readonly Stored[] {
  if (span.end === undefined) {
    const one = keys.get(span.key);
    return one === undefined ? [] : [one];
  }
  return [...keys.values()].filter((kv) => holds(span, kv.key)).sort((a, b) => (a.key < b.key ? -1 : 1));
}

function matches(keys: ReadonlyMap<string, Stored>, { key, target, equals }: Compare): boolean {
  const kv = keys.get(key);
  switch (target) {
    case "value":
      return kv !== undefined && kv.value === equals;
    case "mod":
      return isSameRevision(kv?.modRevision ?? 0n, equals);
    case "version":
      return (kv?.version ?? 0n) === equals;
    case "create":
      return isSameRevision(kv?.createRevision ?? 0n, equals);
    default:
      return target satisfies never;
  }
}

function isSame(expected: readonly Stored[], told: readonly Stored[]): boolean {
  return (
    expected.length === told.length &&
    expected.every((one, i) => {
      const other = told[i];
      return (
        other !== undefined &&
        one.key === other.key &&
        one.value === other.value &&
        one.version === other.version &&
        one.lease === other.lease &&
        isSameRevision(one.modRevision, other.modRevision) &&
        isSameRevision(one.createRevision, other.createRevision)
      );
    })
  );
}

function isSameRevision(known: bigint, told: bigint | string): boolean {
  return known === unknownRevision || known === told;
}
