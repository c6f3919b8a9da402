import { etcdErrors } from "@etcd-edge/proto";
import type { KeyRange } from "../range/key-range.ts";
import { ProbeError } from "../watch/probe-flight.ts";
import { refusalText } from "../watch/probe-refusal.ts";

/** What is known of whether a credential may read a range. */
export type Verdict =
  | { readonly t: "allowed" }
  /** With the words of etcd's that a watch is cancelled with. */
  | { readonly t: "refused"; readonly reason: string }
  /** The credential is used up, and nobody can say more: etcd would let a watch that is there go on. */
  | { readonly t: "kept" }
  /** Nobody answered. */
  | { readonly t: "unanswered" };

/** How etcd can be asked about one credential. */
export interface PermissionSource {
  /** With the credential itself. @throws ProbeError with etcd's refusal, or where there is no answer */
  ask(range: KeyRange): Promise<unknown>;
  /**
   * By the name of the credential's user, with an identity of ours.
   * @returns nothing where the name, or what the user may read, cannot be found out. Never rejects.
   */
  askByName(range: KeyRange): Promise<boolean | undefined>;
  /** Whether a token says by itself until when it is good (a JWT): that it is refused does not mean that anybody withdrew it. */
  readonly expiresByItself: boolean;
}

/** Texts of a credential that is used up, whatever its user may read. */
const usedUp: ReadonlySet<string> = new Set([
  etcdErrors.invalidAuthToken.message,
  etcdErrors.authOldRevision.message,
]);

const permissionDenied = new ProbeError(7, etcdErrors.permissionDenied.message);

/**
 * Asks whether a credential may (still) read a range, and reads the answer as rule 18 has it: a refusal ends a watch; a used-up
 * credential does not say that its user may read less; no answer says nothing.
 */
export async function findVerdict(source: PermissionSource, range: KeyRange): Promise<Verdict> {
  try {
    await source.ask(range);
    return { t: "allowed" };
  } catch (error) {
    if (!(error instanceof ProbeError)) return { t: "unanswered" };
    if (usedUp.has(error.message)) return await judgeByName(source, range, error);
    const isRefused = error.code === permissionDenied.code || error.message === etcdErrors.userEmpty.message;
    return isRefused ? { t: "refused", reason: refusalText(error) } : { t: "unanswered" };
  }
}

async function judgeByName(source: PermissionSource, range: KeyRange, error: ProbeError): Promise<Verdict> {
  const mayRead = await source.askByName(range);
  if (mayRead === true) return { t: "allowed" };
  if (mayRead === false) return { t: "refused", reason: refusalText(permissionDenied) };
  // Being asked for keeps a simple token alive, so one that no member knows was withdrawn: its user is gone or has
  // another password, or all of etcd was started anew, which ends everybody's watches.
  const isWithdrawn = error.message === etcdErrors.invalidAuthToken.message && !source.expiresByItself;
  return isWithdrawn ? { t: "refused", reason: refusalText(error) } : { t: "kept" };
}
