import { createSecureContext } from "node:tls";
import { ConfigError } from "../config-error.ts";
import { type Logger, silentLogger } from "../logging/logger.ts";
import { createChangeCheck } from "./changed-files.ts";
import { readCommonName, readPem } from "./pem-files.ts";

/** What one connection to etcd needs to speak TLS, in the names of node:tls. */
export interface ClientTlsOptions {
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly ca?: Buffer;
  /** False only where `--insecure-skip-tls-verify` was given. */
  readonly rejectUnauthorized: boolean;
}

/** TLS toward etcd, from files that may be replaced while we run. */
export interface ClientTls {
  /**
   * What to dial with now: looks at the files and reads them again if they changed. New files that are not fit for use
   * are logged and the old ones kept. Never throws.
   */
  current(): ClientTlsOptions;
}

interface ClientFiles {
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
  readonly insecureSkipTlsVerify: boolean;
  /** A flag of TLS like the others, though not for these connections: see `loadUserTls`. */
  readonly userCert?: string;
}

/**
 * Reads the files behind `--cert`, `--key` and `--cacert`.
 *
 * The certificate's Common Name must be empty: etcd takes it for the user of every request without a token, so every
 * anonymous client would become that user (rule 8). That holds for files that come later, too.
 * @returns nothing where no flag is set: endpoints without a scheme are spoken to in plaintext
 * @throws ConfigError for missing files, half a pair, or a Common Name
 */
export function loadClientTls(files: ClientFiles, logger: Logger = silentLogger): ClientTls | undefined {
  const { cert, key, cacert, insecureSkipTlsVerify, userCert = "" } = files;
  if ([cert, key, cacert, userCert].every((path) => path === "") && !insecureSkipTlsVerify) return undefined;
  if ((cert === "") !== (key === "")) {
    throw new ConfigError(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  }
  return followFiles([cert, key, cacert], () => readFiles(files), logger);
}

/**
 * What `read` makes of some files, made anew when one of them has changed; what it cannot be made of is logged.
 *
 * @throws what `read` throws at first
 */
export function followFiles(
  paths: readonly string[],
  read: () => ClientTlsOptions,
  logger: Logger,
): ClientTls {
  let options = read();
  const files = paths.filter((path) => path !== "");
  const hasChanged = createChangeCheck(files);
  return {
    current: () => {
      if (!hasChanged()) return options;
      try {
        options = read();
        logger.info("read the TLS files for connections to etcd again", { files });
      } catch (error) {
        logger.warn("kept the TLS files for connections to etcd: the new ones are not fit for use", {
          error,
        });
      }
      return options;
    },
  };
}

/** @throws ConfigError where a file is missing, is not what it should be, or cert and key are no pair */
function readFiles({ cert, key, cacert, insecureSkipTlsVerify }: ClientFiles): ClientTlsOptions {
  const certificate = cert === "" ? undefined : readPem(cert);
  if (certificate !== undefined) {
    const name = readCommonName(certificate, cert);
    if (name !== "") throw new ConfigError(`cert has non empty Common Name (${name}): ${cert}`);
  }
  const options = {
    ...(certificate === undefined ? {} : { cert: certificate, key: readPem(key) }),
    ...(cacert === "" ? {} : { ca: readPem(cacert) }),
    rejectUnauthorized: !insecureSkipTlsVerify,
  };
  checkFitness(options);
  return options;
}

/** @throws ConfigError with OpenSSL's reason */
export function checkFitness(options: Parameters<typeof createSecureContext>[0]): void {
  try {
    createSecureContext(options);
  } catch (error) {
    throw new ConfigError(`tls: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
