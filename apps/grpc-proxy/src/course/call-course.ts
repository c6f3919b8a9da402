import type { Upstream } from "@etcd-edge/endpoints";
import type { Outcome } from "@etcd-edge/transport";
import type { Refusal } from "../relay/call-transform.ts";

/** Begins to wait and calls once it is over. @returns how to stop waiting */
export type Wait = (settle: () => void) => () => void;

/** What becomes of an answer. */
export type Verdict =
  | { readonly t: "pass" }
  /** It is not shown; the request is sent again, after the wait. Only before anything was shown. */
  | { readonly t: "again"; readonly wait: Wait }
  | { readonly t: "refuse"; readonly refusal: Refusal };

/** What becomes of the end of an upstream call before which nothing was shown. */
export type Ending =
  | { readonly t: "pass" }
  | { readonly t: "again"; readonly wait: Wait }
  | { readonly t: "refuse"; readonly refusal: Refusal }
  /** The rest of the call is somebody else's. */
  | { readonly t: "takeOver"; readonly start: (request: Uint8Array, out: CallOutput) => TakenOver };

/** The client's side of a call that was taken over. */
export interface CallOutput {
  /**
   * Shows the client a message, as if that member had sent it. Not from inside `start`.
   * @returns whether more should be sent now; false means taken, but wait for `onDrain`, or cancelled
   * @throws Error for a message that the client must not see
   */
  send(payload: Uint8Array, upstream: Upstream): boolean;
  /** Not from inside `start`. */
  end(status: { readonly code: number; readonly message: string }): void;
}

/** Who took a call over. */
export interface TakenOver {
  onDrain(): void;
  /** The client is gone. */
  onCancel(): void;
}

/** What one call with one request wants beyond being passed on. Made for each call; every part is optional. */
export interface CallCourse {
  /** Whom to ask, of those not tried. The balancer's turn by default. */
  pick?(tried: ReadonlySet<Upstream> | undefined): Upstream | undefined;
  /** The request is about to be sent, perhaps not for the first time. */
  onSend?(request: Uint8Array): void;
  /** An answer came. `isFirst`: nothing was shown to the client yet. */
  judge?(answer: Uint8Array, upstream: Upstream, isFirst: boolean): Verdict;
  /** The upstream call is over. `isFirst`: nothing was shown to the client yet, and only then may it go on. */
  onEnd?(outcome: Outcome, upstream: Upstream, isFirst: boolean): Ending;
}

export const pass: { readonly t: "pass" } = { t: "pass" };

/** No wait at all. */
export const atOnce: Wait = (settle) => {
  settle();
  return () => {};
};
