import { create, MemberListResponseSchema, toBinary } from "@etcd-edge/proto";
import type { RegisteredProxy } from "@etcd-edge/registry";
import type { LocalAnswer } from "../relay/local-call.ts";

/**
 * MemberList as etcd's proxy answers it: every registered proxy as a member with a name and one client URL, no id, no
 * peer URLs, no header; only this proxy itself while nobody is known to be registered.
 */
export function createMemberListAnswer(
  own: RegisteredProxy,
  registered: () => Iterable<RegisteredProxy>,
): LocalAnswer {
  return () => {
    const known = [...registered()];
    const members = (known.length > 0 ? known : [own]).map(({ name, address }) => ({
      name,
      clientURLs: [address],
    }));
    return toBinary(MemberListResponseSchema, create(MemberListResponseSchema, { members }));
  };
}
