import type { TokenNames } from "@etcd-edge/identity";
import { AuthenticateRequestSchema, AuthenticateResponseSchema, fromBinary } from "@etcd-edge/proto";
import type { Upstream } from "./upstream.ts";

/**
 * An upstream that remembers whose token is whose: etcd's simple tokens do not say it, and once etcd has forgotten one, what its user may
 * read can be asked by name alone (rule 18).
 */
export function createNotedTokens(inner: Upstream, names: TokenNames): Upstream {
  return {
    open: (call) => inner.open(call),
    unary: async (call, request) => {
      const answer = await inner.unary(call, request);
      if (call.rpc.path === "/etcdserverpb.Auth/Authenticate") note(names, request, answer.message);
      return answer;
    },
  };
}

function note(names: TokenNames, request: Uint8Array, answer: Uint8Array): void {
  try {
    const { name } = fromBinary(AuthenticateRequestSchema, request);
    names.note(fromBinary(AuthenticateResponseSchema, answer).token, name);
  } catch {
    // Passed on as it is: whoever reads it next says what is wrong with it.
  }
}
