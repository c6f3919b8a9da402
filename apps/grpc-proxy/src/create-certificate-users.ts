import {
  CertificateUsers,
  isJwtMethod,
  JwtMint,
  readJwtKey,
  type ServiceIdentity,
} from "@etcd-edge/identity";
import type { Config } from "./options.ts";

/**
 * `--auth-jwt-key`: who shows a certificate and no token is the user whom its Common Name names.
 *
 * @returns nothing without the key, or without an identity of ours that says how new users and roles are
 * @throws ConfigError for a key that cannot be read or does not fit the method
 */
export function createCertificateUsers(
  { authJwtKey, authJwtMethod }: Pick<Config, "authJwtKey" | "authJwtMethod">,
  service: ServiceIdentity | undefined,
): CertificateUsers | undefined {
  if (authJwtKey === "" || service === undefined || !isJwtMethod(authJwtMethod)) return undefined;
  const key = readJwtKey(authJwtKey, authJwtMethod);
  return new CertificateUsers(
    new JwtMint({ key, method: authJwtMethod, authRevision: () => service.authRevision() }),
  );
}
