import type { Action } from "./operation.ts";
import { type KeySpan, spanWithin } from "./stored.ts";

export type Access = "read" | "write";

/**
 * A right of a user, from when it was given until it was taken. It came into force somewhere between question and answer, and
 * ended so; without an answer it may have happened or not. Times as everywhere.
 */
export interface RightRecord {
  readonly user: string;
  readonly access: Access;
  readonly span: KeySpan;
  readonly grantAskedAt: number;
  readonly grantAnsweredAt?: number;
  readonly revokeAskedAt?: number;
  readonly revokeAnsweredAt?: number;
}

/** What users without full rights may do in a run, and what the door promises about it. */
export interface RightsRecord {
  readonly records: readonly RightRecord[];
  /** For how long a right that is gone may still count for reads, in milliseconds. 0 for etcd itself. */
  readonly staleMs: number;
  /** How long after that a watch is over at most, in milliseconds; nothing where it may go on, as etcd's own do. */
  readonly watchEndsMs: number | undefined;
}

/** Something that a user needs to be allowed. */
export interface Need {
  readonly access: Access;
  readonly span: KeySpan;
}

/** What etcd asks a user to have for an action: of a transaction everything in both branches, whichever is taken. */
export function needsOf(action: Action): readonly Need[] {
  if (action.t === "txn") {
    const compared = action.compares.map(({ key }): Need => ({ access: "read", span: { key } }));
    return [...compared, ...[...action.success, ...action.failure].flatMap(needsOf)];
  }
  if (action.t === "put") return [{ access: "write", span: { key: action.key } }];
  return [{ access: action.t === "range" ? "read" : "write", span: action.span }];
}

/** Rights by user, to be asked. */
export class Rights {
  readonly #byUser: ReadonlyMap<string, readonly RightRecord[]>;

  constructor(records: readonly RightRecord[]) {
    this.#byUser = Map.groupBy(records, ({ user }) => user);
  }

  /** Whether a user can have had a right at any moment of [from, to]. */
  mayHaveHad(user: string, need: Need, from: number, to: number): boolean {
    return this.#of(user, need).some(
      ({ grantAskedAt, revokeAnsweredAt = Number.POSITIVE_INFINITY }) =>
        grantAskedAt <= to && revokeAnsweredAt >= from,
    );
  }

  /** Whether a user had a right at every moment of [from, to]. */
  hadAllTheTime(user: string, need: Need, from: number, to: number): boolean {
    return this.#of(user, need).some(
      ({ grantAnsweredAt = Number.POSITIVE_INFINITY, revokeAskedAt = Number.POSITIVE_INFINITY }) =>
        grantAnsweredAt <= from && revokeAskedAt >= to,
    );
  }

  /** Rights that cover a need, at any time. */
  of(user: string, need: Need): readonly RightRecord[] {
    return this.#of(user, need);
  }

  #of(user: string, { access, span }: Need): readonly RightRecord[] {
    return (this.#byUser.get(user) ?? []).filter(
      (right) => right.access === access && spanWithin(span, right.span),
    );
  }
}
