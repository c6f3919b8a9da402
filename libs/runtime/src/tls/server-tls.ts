import { ConfigError } from "../config-error.ts";
import { readPem } from "./pem-files.ts";
import type { TlsVersions } from "./tls-versions.ts";

/** What a listener needs to speak TLS, in the names of node:tls. */
export interface ServerTls extends TlsVersions {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  /** Client certificates are asked for, and refused when they do not chain to the CA. */
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
}

/**
 * Reads the files behind `--cert-file`, `--key-file` and `--trusted-ca-file`. A CA makes client certificates required.
 * @returns nothing where no file is named: the listener speaks plaintext
 * @throws ConfigError where files are missing or do not come in pairs
 */
export async function loadServerTls(
  files: { certFile: string; keyFile: string; trustedCaFile: string },
  listener: { address: string; versions: TlsVersions },
): Promise<ServerTls | undefined> {
  const { certFile, keyFile, trustedCaFile } = files;
  if (certFile === "" && keyFile === "" && trustedCaFile === "") return undefined;
  if (certFile === "" && keyFile === "") {
    throw new ConfigError(
      `cannot listen on TLS for ${listener.address}: KeyFile and CertFile are not presented`,
    );
  }
  if (certFile === "" || keyFile === "") {
    throw new ConfigError(`KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`);
  }
  const hasCa = trustedCaFile !== "";
  return {
    ...listener.versions,
    cert: await readPem(certFile),
    key: await readPem(keyFile),
    ...(hasCa ? { ca: await readPem(trustedCaFile) } : {}),
    requestCert: hasCa,
    rejectUnauthorized: hasCa,
  };
}
