import type { ChannelBalancer, Upstream } from "@etcd-edge/endpoints";
import type { CertificateUsers } from "@etcd-edge/identity";
import { isStaleTokenText } from "@etcd-edge/identity";
import type { CallCourse, Ending } from "./call-course.ts";
import { pass } from "./call-course.ts";

/** A member that lags does not take a token of the newest users and roles yet (rule 38). */
const pauseMs = 50;
const maxRenewals = 2;

export interface RenewingCourseOptions {
  readonly users: CertificateUsers;
  readonly credential: string;
  readonly balancer: ChannelBalancer;
  /** What the call wants besides. */
  readonly inner: CallCourse | undefined;
}

/**
 * A call with a token that was made here. etcd compares its revision of users and roles with its own and refuses any other:
 * nothing was done then, and the call goes to the same member again with another token, twice at most.
 */
export function createRenewingCourse({
  users,
  credential,
  balancer,
  inner,
}: RenewingCourseOptions): CallCourse {
  let renewals = 0;
  let again: Upstream | undefined;
  return {
    ...inner,
    pick: (tried) => {
      const same = again;
      again = undefined;
      if (same !== undefined) return same;
      return inner?.pick === undefined ? balancer.pick(tried) : inner.pick(tried);
    },
    onEnd: (outcome, upstream, isFirst): Ending => {
      if (!isFirst || renewals >= maxRenewals || !isStaleTokenText(outcome.message))
        return inner?.onEnd?.(outcome, upstream, isFirst) ?? pass;
      renewals++;
      again = upstream;
      return {
        t: "again",
        wait: (settle) => {
          let isStopped = false;
          const timer = setTimeout(() => {
            void users.renew(credential).then(() => {
              if (!isStopped) settle();
            });
          }, pauseMs);
          return () => {
            isStopped = true;
            clearTimeout(timer);
          };
        },
      };
    },
  };
}
