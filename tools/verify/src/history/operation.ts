import type { KeySpan, Stored } from "./stored.ts";

/** What a client asks of the store in one step. */
export type SimpleAction =
  | { readonly t: "put"; readonly key: string; readonly value: string; readonly lease: bigint }
  | { readonly t: "delete"; readonly span: KeySpan }
  | {
      readonly t: "range";
      readonly span: KeySpan;
      readonly serializable: boolean;
      /** As it was at this revision; never in a transaction. */
      readonly at?: bigint;
    };

/** One condition of a transaction: all of them must hold. */
export interface Compare {
  readonly key: string;
  readonly target: "value" | "mod" | "version" | "create";
  /** Compared for equality. A key that is not there has 0 everywhere, and no value that equals anything. */
  readonly equals: string | bigint;
}

export interface TxnAction {
  readonly t: "txn";
  readonly compares: readonly Compare[];
  readonly success: readonly SimpleAction[];
  readonly failure: readonly SimpleAction[];
}

export type Action = SimpleAction | TxnAction;

/** What the store answered to one step. */
export type SimpleAnswer =
  | { readonly t: "put" }
  | { readonly t: "delete"; readonly deleted: number }
  | { readonly t: "range"; readonly kvs: readonly Stored[] };

export type Answer =
  | SimpleAnswer
  | { readonly t: "txn"; readonly succeeded: boolean; readonly answers: readonly SimpleAnswer[] };

/** How an operation ended. A failed write may have been done, or may yet be. */
export type Outcome =
  | { readonly t: "answered"; readonly answer: Answer; readonly revision: bigint; readonly clusterId: bigint }
  /** Refused for a reason that says it was not done. */
  | { readonly t: "refused"; readonly reason: string }
  | { readonly t: "unknown"; readonly reason: string };

/** One call of a client, from its first byte to its answer. Times are monotonic, in milliseconds since the run began. */
export interface Operation {
  readonly id: number;
  readonly client: number;
  /** One who may do some things only; nothing for one who may do everything. */
  readonly user?: string;
  readonly invokedAt: number;
  readonly returnedAt: number;
  readonly action: Action;
  readonly outcome: Outcome;
}

/** Every step of an action, whichever branch they are in. */
export function stepsOf(action: Action): readonly SimpleAction[] {
  return action.t === "txn" ? [...action.success, ...action.failure] : [action];
}

/** Whether it may change the store. */
export function mayWrite(action: Action): boolean {
  return stepsOf(action).some((step) => step.t !== "range");
}

/** Whether all of it may be answered by one member on its own. */
export function isSerializable(action: Action): boolean {
  return stepsOf(action).every((step) => step.t === "range" && step.serializable);
}

/** Whether it asks for what was, and says nothing of what is. */
export function isOfThePast(action: Action): boolean {
  return action.t === "range" && action.at !== undefined;
}

/**
 * A transaction that may write, without its reads. etcd up to 3.6 leaves reads out on members that nobody waits for, before it
 * asks for rights: of a user who may write and not read, the member that was asked refuses all of it, and the others do it. They
 * have different stores from then on (seen on 3.4.23, 3.5.30 and 3.6.16, not on 3.7.3; docs/VERIFY.md).
 */
export function withoutReadsBesideWrites(action: Action): Action {
  if (action.t !== "txn" || !mayWrite(action)) return action;
  const writes = (list: readonly SimpleAction[]): readonly SimpleAction[] =>
    list.filter((step) => step.t !== "range");
  return { ...action, success: writes(action.success), failure: writes(action.failure) };
}

/** The same without anything that one member may answer on its own. */
export function ofQuorum(action: Action): Action {
  if (action.t === "range") return { ...action, serializable: false };
  if (action.t !== "txn") return action;
  const steps = (list: readonly SimpleAction[]): readonly SimpleAction[] =>
    list.map((step) => (step.t === "range" ? { ...step, serializable: false } : step));
  return { ...action, success: steps(action.success), failure: steps(action.failure) };
}

/** Whether an answer says that something was written. */
export function hasWritten(answer: Answer): boolean {
  switch (answer.t) {
    case "put":
      return true;
    case "delete":
      return answer.deleted > 0;
    case "range":
      return false;
    case "txn":
      return answer.answers.some(hasWritten);
    default:
      return answer satisfies never;
  }
}
