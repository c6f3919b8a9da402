import { etcdErrors } from "@etcd-edge/proto";
import type { ReadFailure } from "./ports.ts";

/**
 * What etcd's error to a Txn of many reads means (rule 27).
 * - `one`: one of them may be to blame: each is asked alone.
 * - `size`: there are more than this cluster takes.
 * - `learner`: this member takes no Txn at all.
 * - `everyone`: it would have been every one's answer.
 */
type Blame = "one" | "size" | "learner" | "everyone";

/** INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, OUT_OF_RANGE. */
const codesOfOne: ReadonlySet<number> = new Set([3, 5, 7, 8, 11]);

/** With codes of one, but said of the credential, which all of them share. */
const textsOfEveryone: ReadonlySet<string> = new Set([
  etcdErrors.userEmpty.message,
  etcdErrors.authOldRevision.message,
]);

export function findBlame({ code, message }: ReadFailure): Blame {
  if (message === etcdErrors.tooManyOps.message) return "size";
  if (message === etcdErrors.notSupportedForLearner.message) return "learner";
  return codesOfOne.has(code) && !textsOfEveryone.has(message) ? "one" : "everyone";
}
