import { X509Certificate } from "node:crypto";
import { ConfigError } from "../config-error.ts";
import { type Logger, silentLogger } from "../logging/logger.ts";
import { type ClientTls, type ClientTlsOptions, checkFitness, followFiles } from "./client-tls.ts";
import { readPem } from "./pem-files.ts";

/** TLS toward etcd as a user of etcd's: for connections that carry no client's call (rule 8). */
export interface UserTls extends ClientTls {
  /** The Common Name, which etcd with `--client-cert-auth` takes for the user of calls without a token. */
  readonly user: string;
}

interface UserFiles {
  readonly userCert: string;
  readonly userKey: string;
  readonly cacert: string;
  readonly insecureSkipTlsVerify: boolean;
}

/** id-kp-clientAuth (RFC 5280, section 4.2.1.12): Go's servers ask for it. */
const clientAuth = "1.3.6.1.5.5.7.3.2";
const anyUsage = "2.5.29.37.0";

/**
 * Reads the files behind `--user-cert`, `--user-key` and `--cacert`. They may be replaced while we run, by ones of the same user:
 * what has been shared under one user is not another's.
 *
 * @returns nothing where neither flag is set
 * @throws ConfigError for half a pair, files that cannot be read, are no pair, or are not valid now, and for a certificate that
 *   names no user or is not a client's
 */
export function loadUserTls(files: UserFiles, logger: Logger = silentLogger): UserTls | undefined {
  const { userCert, userKey, cacert } = files;
  if (userCert === "" && userKey === "") return undefined;
  if (userCert === "" || userKey === "") {
    throw new ConfigError("--user-cert and --user-key must be given together");
  }
  const user = userOf(parse(read("--user-cert", userCert), userCert), userCert);
  const tls = followFiles([userCert, userKey, cacert], () => readFiles(files, user), logger);
  return { user, current: () => tls.current() };
}

/** @param user whose certificate it has to be */
function readFiles(
  { userCert, userKey, cacert, insecureSkipTlsVerify }: UserFiles,
  user: string,
): ClientTlsOptions {
  const cert = read("--user-cert", userCert);
  const certificate = parse(cert, userCert);
  checkValidity(certificate, userCert);
  const named = userOf(certificate, userCert);
  if (named !== user) {
    throw new ConfigError(
      `--user-cert: ${userCert} is of ${JSON.stringify(named)}, and was of ${JSON.stringify(user)}`,
    );
  }
  const options = {
    ...{ cert, key: read("--user-key", userKey) },
    ...(cacert === "" ? {} : { ca: readPem(cacert) }),
    rejectUnauthorized: !insecureSkipTlsVerify,
  };
  checkFitness(options);
  return options;
}

function read(flag: string, path: string): Buffer {
  try {
    return readPem(path);
  } catch (error) {
    throw new ConfigError(`${flag}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function parse(pem: Buffer, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new ConfigError(`--user-cert: ${path}: no PEM certificate`, { cause: error });
  }
}

/** As Go's crypto/x509/pkix reads it: of several names the last. */
function userOf(certificate: X509Certificate, path: string): string {
  const name: unknown = certificate.toLegacyObject().subject?.CN;
  const user: unknown = Array.isArray(name) ? name.at(-1) : name;
  if (typeof user === "string" && user !== "") return user;
  throw new ConfigError(`--user-cert: ${path} has no Common Name: etcd would see no user`);
}

function checkValidity({ validFromDate, validToDate, keyUsage }: X509Certificate, path: string): void {
  const now = Date.now();
  if (validToDate.getTime() < now)
    throw new ConfigError(
      `--user-cert: ${path} has expired: it was valid until ${validToDate.toISOString()}`,
    );
  if (validFromDate.getTime() > now)
    throw new ConfigError(`--user-cert: ${path} is not valid before ${validFromDate.toISOString()}`);
  // Undefined, whatever its type says, where the certificate has no such extension: then it is good for everything.
  const usages = (keyUsage as readonly string[] | undefined) ?? [anyUsage];
  if (!usages.includes(clientAuth) && !usages.includes(anyUsage))
    throw new ConfigError(`--user-cert: ${path} is not for client authentication`);
}
