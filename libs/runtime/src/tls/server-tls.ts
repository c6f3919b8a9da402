import type { Server, TLSSocket, TlsOptions } from "node:tls";
import { ConfigError } from "../config-error.ts";
import { type Logger, silentLogger } from "../logging/logger.ts";
import { createChangeCheck } from "./changed-files.ts";
import { checkFitness } from "./client-tls.ts";
import { readPem } from "./pem-files.ts";
import { openRevokedCertificates, type RevokedCertificates } from "./revoked-certificates.ts";
import type { TlsVersions } from "./tls-versions.ts";

/** TLS of a listener, from files that may be replaced while it runs. */
export interface ServerTls {
  /** What to make the listener with. */
  readonly options: TlsOptions;
  /** The listener's certificate as it is now, for a process that dials itself. */
  identity(): { readonly cert: Buffer; readonly key: Buffer };
  /**
   * Makes a listener read its files again before a handshake when they changed, and refuse revoked clients after it. New
   * files that are not fit for use are logged and the old ones kept. Call it once for each listener made with `options`,
   * before it listens.
   */
  protect(listener: Server): void;
}

/** Files, by the flags that name them; the empty text where a flag is not given. */
export interface ServerFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  /** Default: none. */
  readonly clientCrlFile?: string;
}

export interface ListenerTls {
  /** `--listen-addr` as given, for messages. */
  readonly address: string;
  readonly versions: TlsVersions;
  /** OpenSSL's list; see `parseCipherSuites`. Default: Node's. */
  readonly ciphers?: string | undefined;
  readonly logger?: Logger;
}

/**
 * Reads the files behind `--cert-file`, `--key-file`, `--trusted-ca-file` and `--client-crl-file`. A CA makes client
 * certificates required.
 * @returns nothing where no certificate and no CA is named: the listener speaks plaintext
 * @throws ConfigError where files are missing, unfit, or do not come in pairs
 */
export async function loadServerTls(
  files: ServerFiles,
  listener: ListenerTls,
): Promise<ServerTls | undefined> {
  const { certFile, keyFile, trustedCaFile, clientCrlFile = "" } = files;
  const { logger = silentLogger } = listener;
  if (certFile === "" && keyFile === "" && trustedCaFile === "") return undefined;
  if (certFile === "" && keyFile === "") {
    throw new ConfigError(
      `cannot listen on TLS for ${listener.address}: KeyFile and CertFile are not presented`,
    );
  }
  if (certFile === "" || keyFile === "") {
    throw new ConfigError(`KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`);
  }
  const revoked = clientCrlFile === "" ? undefined : await openRevokedCertificates(clientCrlFile, logger);
  const options = readFiles(files, listener);
  return {
    options,
    identity: () => ({ cert: readPem(files.certFile), key: readPem(files.keyFile) }),
    protect: (server) => {
      keepCurrent(server, { files, listener, logger });
      if (revoked !== undefined) refuseRevoked(server, revoked, logger);
    },
  };
}

function readFiles(files: ServerFiles, { versions, ciphers }: ListenerTls): TlsOptions {
  const hasCa = files.trustedCaFile !== "";
  const options: TlsOptions = {
    ...versions,
    ...(ciphers === undefined ? {} : { ciphers, honorCipherOrder: true }),
    cert: readPem(files.certFile),
    key: readPem(files.keyFile),
    ...(hasCa ? { ca: readPem(files.trustedCaFile) } : {}),
    requestCert: hasCa,
    rejectUnauthorized: hasCa,
  };
  checkFitness(options);
  return options;
}

/** As etcd does, the files are looked at for each connection: what is there counts from the next handshake on. */
function keepCurrent(
  server: Server,
  { files, listener, logger }: { files: ServerFiles; listener: ListenerTls; logger: Logger },
): void {
  const paths = [files.certFile, files.keyFile, files.trustedCaFile].filter((path) => path !== "");
  const hasChanged = createChangeCheck(paths);
  // Before the listener of node:tls, which begins the handshake.
  server.prependListener("connection", () => {
    if (!hasChanged()) return;
    try {
      server.setSecureContext(readFiles(files, listener));
      logger.info("read the TLS files of the listener again", { address: listener.address, paths });
    } catch (error) {
      // Half written, perhaps: the change that completes them is noticed as this one was.
      logger.warn("kept the TLS files of the listener: the new ones are not fit for use", {
        address: listener.address,
        error,
      });
    }
  });
}

function refuseRevoked(server: Server, revoked: RevokedCertificates, logger: Logger): void {
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined || !revoked.has(certificate.serialNumber)) return;
    logger.warn("refused a revoked client certificate", {
      "remote-addr": socket.remoteAddress,
      serial: certificate.serialNumber,
    });
    socket.destroy();
  });
}
