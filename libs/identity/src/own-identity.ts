import { type Endpoint, endpointUrl } from "@etcd-edge/endpoints";
import { type ClientTls, ConfigError, type Logger, loadUserTls } from "@etcd-edge/runtime";
import { ServiceCertificate } from "./service-certificate.ts";
import type { ServiceCredential } from "./service-credential.ts";
import { readServiceUser, ServiceToken } from "./service-token.ts";

/** What the flags of `identityOptions` say, and those of TLS that go with them. */
export interface IdentityConfig {
  readonly user: string;
  readonly passwordFile: string;
  readonly userCert: string;
  readonly userKey: string;
}

/** Whom a tier acts as in its own name. */
export interface OwnIdentity {
  readonly credential: ServiceCredential;
  /** How its connections are dialled, which carry no client's call (rule 8); nothing where they are dialled as those are. */
  readonly tls: ClientTls | undefined;
}

/** Whether a tier has a user of its own, which means that etcd has users. */
export function hasOwnIdentity({ user, userCert }: Pick<IdentityConfig, "user" | "userCert">): boolean {
  return user !== "" || userCert !== "";
}

/**
 * `--user` and `--password-file`, or `--user-cert` and `--user-key`.
 *
 * @param endpoints those that are given: a certificate is shown over TLS only
 * @returns nothing where none of them is given
 * @throws ConfigError for half a pair, both pairs, what cannot be read or used, and endpoints without TLS
 */
export function loadOwnIdentity(
  config: IdentityConfig & { readonly cacert: string; readonly insecureSkipTlsVerify: boolean },
  endpoints: readonly Endpoint[],
  logger: Logger,
): OwnIdentity | undefined {
  const { user, passwordFile, userCert, userKey } = config;
  if (`${user}${passwordFile}` !== "" && `${userCert}${userKey}` !== "") {
    throw new ConfigError(
      "--user and --password-file exclude --user-cert and --user-key: one of both says whom we act as",
    );
  }
  const tls = loadUserTls(config, logger);
  if (tls === undefined) {
    const serviceUser = readServiceUser(config);
    return serviceUser && { credential: new ServiceToken(serviceUser), tls: undefined };
  }
  const plain = endpoints.find(({ scheme }) => scheme === "http" || scheme === "unix");
  if (plain !== undefined) {
    throw new ConfigError(`--user-cert needs TLS, and ${endpointUrl(plain)} is spoken to without`);
  }
  return { credential: new ServiceCertificate(tls.user), tls };
}
