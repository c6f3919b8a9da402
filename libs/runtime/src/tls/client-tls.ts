import { ConfigError } from "../config-error.ts";
import { readCommonName, readPem } from "./pem-files.ts";

/** What connections to etcd need to speak TLS, in the names of node:tls. */
export interface ClientTls {
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly ca?: Buffer;
  /** False only where `--insecure-skip-tls-verify` was given. */
  readonly rejectUnauthorized: boolean;
}

/**
 * Reads the files behind `--cert`, `--key` and `--cacert`.
 *
 * The certificate's Common Name must be empty: etcd takes it for the user of every request without a token, so every
 * anonymous client would become that user (rule 8).
 * @returns nothing where no flag is set: endpoints without a scheme are spoken to in plaintext
 * @throws ConfigError for missing files, half a pair, or a Common Name
 */
export async function loadClientTls(files: {
  cert: string;
  key: string;
  cacert: string;
  insecureSkipTlsVerify: boolean;
}): Promise<ClientTls | undefined> {
  const { cert, key, cacert, insecureSkipTlsVerify } = files;
  if (cert === "" && key === "" && cacert === "" && !insecureSkipTlsVerify) return undefined;
  if ((cert === "") !== (key === "")) {
    throw new ConfigError(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  }
  const certificate = cert === "" ? undefined : await readPem(cert);
  if (certificate !== undefined) {
    const name = readCommonName(certificate, cert);
    if (name !== "") throw new ConfigError(`cert has non empty Common Name (${name}): ${cert}`);
  }
  return {
    ...(certificate === undefined ? {} : { cert: certificate, key: await readPem(key) }),
    ...(cacert === "" ? {} : { ca: await readPem(cacert) }),
    rejectUnauthorized: !insecureSkipTlsVerify,
  };
}
