import { hasOwnIdentity, isJwtMethod } from "@etcd-edge/identity";
import { ConfigError } from "@etcd-edge/runtime";
import type { Config } from "./options.ts";
import { checkStore } from "./reads/cache-options.ts";

/** Checks that concern more than one flag. @throws ConfigError with all that is wrong, in etcd's words */
export function checkConfig(config: Config): void {
  const problems = [...checkMessageSizes(config), ...checkRegistration(config), ...checkJwt(config)];
  if (problems.length > 0) throw new ConfigError(problems.join("\n"));
  checkStore(config);
}

function checkMessageSizes({ maxSendBytes, maxRecvBytes }: Config): string[] {
  if (maxRecvBytes <= 0 || maxSendBytes <= 0 || maxRecvBytes >= maxSendBytes) return [];
  return [
    `gRPC message recv limit (${maxRecvBytes} bytes) must be greater than send limit (${maxSendBytes} bytes)`,
  ];
}

function checkRegistration({ resolverPrefix, resolverTtl, advertiseClientUrl }: Config): string[] {
  if (resolverPrefix === "") return resolverTtl > 0 ? ['invalid resolver-prefix ""'] : [];
  const problems = resolverTtl < 1 ? [`invalid resolver-ttl ${resolverTtl}`] : [];
  return advertiseClientUrl === "" ? [...problems, 'invalid advertise-client-url ""'] : problems;
}

/** The revision that etcd compares tokens with is told to users: one of our own has to ask. */
function checkJwt(config: Config): string[] {
  const { authJwtKey, authJwtMethod } = config;
  if (authJwtKey === "") return [];
  const problems = isJwtMethod(authJwtMethod)
    ? []
    : [`--auth-jwt-method: etcd has no ${JSON.stringify(authJwtMethod)}`];
  if (hasOwnIdentity(config)) return problems;
  return [...problems, "--auth-jwt-key needs --user and --password-file, or --user-cert and --user-key"];
}
