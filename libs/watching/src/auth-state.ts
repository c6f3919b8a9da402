import { ProbeError } from "@etcd-edge/coalesce";
import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { HeaderView } from "@etcd-edge/proto";
import { findNoTransform } from "./message-transform.ts";
import { QuorumReads } from "./quorum-reads.ts";

/**
 * etcd's answers to somebody who shows no credential, while auth is on: the second one over a connection whose certificate has an
 * empty Common Name, where it runs with `--client-cert-auth`.
 */
const toNobody = ["etcdserver: user name is empty", "etcdserver: permission denied"];
const timeoutMs = 2_000;
const smallestKey = { t: "point", key: Uint8Array.of(0) } as const;

/** Asks a quorum for the revision of the store, as somebody without a credential. @throws ProbeError */
export function probeAsNobody(balancer: ChannelBalancer): Promise<HeaderView> {
  const options = { balancer, credential: () => undefined, findTransform: findNoTransform };
  return new QuorumReads(options).probe([smallestKey]);
}

/**
 * Asks etcd whether auth is on.
 * @returns nothing where nobody answers within two seconds
 */
export async function isAuthEnabled(balancer: ChannelBalancer): Promise<boolean | undefined> {
  const timeout = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => timeout.resolve(undefined), timeoutMs);
  try {
    const asked = probeAsNobody(balancer).then(
      () => false,
      (error: unknown) =>
        error instanceof ProbeError && toNobody.some((text) => error.message.includes(text))
          ? true
          : undefined,
    );
    return await Promise.race([asked, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
