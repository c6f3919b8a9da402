import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { ServiceToken } from "@etcd-edge/identity";
import {
  createUpstreamEtcd,
  formatRegistryValue,
  RegisteredProxies,
  Registration,
  registryPrefix,
} from "@etcd-edge/registry";
import { type Logger, systemClock } from "@etcd-edge/runtime";
import type { Config } from "../options.ts";
import type { LocalAnswers } from "../relay/local-call.ts";
import { createMemberListAnswer } from "./member-list.ts";

/** How this proxy is known to others, and they to it. Disposing takes it out of the registry; twice is fine. */
export interface Registry extends AsyncDisposable {
  /** What this process answers itself. */
  readonly localAnswers: LocalAnswers;
  /** Enters this proxy under `--resolver-prefix`, if there is one: call it once clients can be served. */
  register(): void;
}

export interface RegistryParts {
  /** Where a token is given: one that carries no client's calls (rule 8). */
  readonly balancer: ChannelBalancer;
  readonly token: ServiceToken | undefined;
  readonly hostname: string;
  readonly logger: Logger;
}

/** `--advertise-client-url`, `--resolver-prefix` and `--resolver-ttl`. The first must have its host name filled in. */
export function startRegistry(
  config: Pick<Config, "advertiseClientUrl" | "resolverPrefix" | "resolverTtl" | "namespace">,
  { balancer, token, hostname, logger }: RegistryParts,
): Registry {
  const own = { name: hostname, address: config.advertiseClientUrl };
  const isRegistering = config.resolverPrefix !== "";
  const prefix = registryPrefix(config.namespace, config.resolverPrefix);
  const common = { etcd: createUpstreamEtcd(balancer, token), clock: systemClock, logger };
  const proxies = isRegistering ? new RegisteredProxies({ ...common, prefix }) : undefined;
  const memberList = createMemberListAnswer(own, () => proxies?.current().values() ?? []);
  let registration: Registration | undefined;
  return {
    localAnswers: own.address === "" ? {} : { memberList },
    register: () => {
      if (!isRegistering) return;
      const entry = { key: `${prefix}${own.address}`, value: formatRegistryValue(own) };
      registration ??= new Registration({ ...common, ...entry, ttlSeconds: config.resolverTtl });
    },
    async [Symbol.asyncDispose]() {
      proxies?.[Symbol.dispose]();
      await registration?.[Symbol.asyncDispose]();
    },
  };
}
