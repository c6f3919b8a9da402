import { create, etcdErrors, fromBinary, toBinary, WatchResponseSchema } from "@etcd-edge/proto";
import type { CallCourse } from "../course/call-course.ts";
import { pass } from "../course/call-course.ts";

const refusal = etcdErrors.userEmpty.message;

/** What a client with a certificate and without a token is told behind etcd's own words. */
function hintFor(user: string): string {
  return `; the Common Name ${JSON.stringify(user)} of the client certificate names a user of etcd's only with --auth-jwt-key`;
}

/** Tells such a client why etcd does not know who it is. */
export function createHintCourse(user: string, inner: CallCourse | undefined): CallCourse {
  return {
    ...inner,
    onEnd: (outcome, upstream, isFirst) => {
      if (outcome.message !== refusal) return inner?.onEnd?.(outcome, upstream, isFirst) ?? pass;
      return { t: "refuse", refusal: { code: outcome.code, message: refusal + hintFor(user) } };
    },
  };
}

/** The same for the refusal of a watch. Other answers are returned as they are. */
export function addWatchHint(user: string, answer: Uint8Array): Uint8Array {
  const response = fromBinary(WatchResponseSchema, answer);
  if (!response.canceled || !response.cancelReason.endsWith(refusal)) return answer;
  const cancelReason = response.cancelReason + hintFor(user);
  return toBinary(WatchResponseSchema, create(WatchResponseSchema, { ...response, cancelReason }));
}
