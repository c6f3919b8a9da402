import type { ChannelBalancer } from "@etcd-edge/endpoints";
import type { ServiceCredential } from "@etcd-edge/identity";
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
  /** Where we have an identity of our own: one that carries no client's calls (rule 8). */
  readonly balancer: ChannelBalancer;
  readonly own: ServiceCredential | undefined;
  readonly hostname: string;
  readonly logger: Logger;
}

/** `--advertise-client-url`, `--resolver-prefix` and `--resolver-ttl`. The first must have its host name filled in. */
export function startRegistry(
  config: Pick<Config, "advertiseClientUrl" | "resolverPrefix" | "resolverTtl" | "namespace">,
  { balancer, own, hostname, logger }: RegistryParts,
): Registry {
  const entered = { name: hostname, address: config.advertiseClientUrl };
  const isRegistering = config.resolverPrefix !== "";
  const prefix = registryPrefix(config.namespace, config.resolverPrefix);
  const common = { etcd: createUpstreamEtcd(balancer, own), clock: systemClock, logger };
  const proxies = isRegistering ? new RegisteredProxies({ ...common, prefix }) : undefined;
  const memberList = createMemberListAnswer(entered, () => proxies?.current().values() ?? []);
  let registration: Registration | undefined;
  return {
    localAnswers: entered.address === "" ? {} : { memberList },
    register: () => {
      if (!isRegistering) return;
      const entry = { key: `${prefix}${entered.address}`, value: formatRegistryValue(entered) };
      registration ??= new Registration({ ...common, ...entry, ttlSeconds: config.resolverTtl });
    },
    async [Symbol.asyncDispose]() {
      proxies?.[Symbol.dispose]();
      await registration?.[Symbol.asyncDispose]();
    },
  };
}
