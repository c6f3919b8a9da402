import type { TokenNames } from "@etcd-edge/identity";
import { AuthenticateRequestSchema, AuthenticateResponseSchema, fromBinary } from "@etcd-edge/proto";
import { type CallCourse, pass } from "./call-course.ts";

/** Remembers whose token is whose: etcd's simple tokens do not say it, and what a user may read can be asked by name alone. */
export function createTokenCourse(names: TokenNames): CallCourse {
  let user = "";
  return {
    onSend(request) {
      try {
        user = fromBinary(AuthenticateRequestSchema, request).name;
      } catch {
        user = ""; // etcd says what is wrong with it
      }
    },
    judge(answer) {
      try {
        if (user !== "") names.note(fromBinary(AuthenticateResponseSchema, answer).token, user);
      } catch {
        // Passed on as it is: whoever reads it next says what is wrong with it.
      }
      return pass;
    },
  };
}
