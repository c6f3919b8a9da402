import { join } from "node:path";
import {
  ensureSelfSigned,
  type HostPort,
  type Logger,
  loadServerTls,
  parseCipherSuites,
  parseTlsVersions,
  type ServerTls,
} from "@etcd-edge/runtime";
import type { Config } from "./options.ts";

/**
 * What the flags say about TLS toward clients. Versions and names of suites are checked whether or not there is TLS, as
 * etcd does.
 * @returns nothing where the listener speaks plaintext
 * @throws ConfigError in etcd's words
 */
export async function loadListenerTls(
  config: Config,
  { listen, logger }: { listen: HostPort; logger: Logger },
): Promise<ServerTls | undefined> {
  const ciphers = parseCipherSuites(config.listenCipherSuites);
  const versions = parseTlsVersions({
    min: config.tlsMinVersion,
    max: config.tlsMaxVersion,
    hasCipherSuites: ciphers !== undefined,
  });
  const files = isSelfSigned(config) ? { ...config, ...(await selfSigned(config, listen, logger)) } : config;
  const tls = await loadServerTls(files, { address: config.listenAddr, versions, ciphers, logger });
  if (tls === undefined) warnOfIdleFlags(config, logger);
  return tls;
}

/** A certificate of one's own comes first. */
function isSelfSigned({ autoTls, certFile, keyFile, trustedCaFile }: Config): boolean {
  return autoTls && certFile === "" && keyFile === "" && trustedCaFile === "";
}

function selfSigned(
  config: Config,
  listen: HostPort,
  logger: Logger,
): Promise<{ certFile: string; keyFile: string }> {
  return ensureSelfSigned({
    folder: join(config.dataDir, "fixtures", "proxy"),
    hosts: [listen.host === "" ? "localhost" : listen.host],
    validityYears: config.selfSignedCertValidity,
    logger,
  });
}

/** etcd's proxy of 3.4 dies of the first, newer ones say nothing; the flags do nothing without TLS. */
function warnOfIdleFlags(config: Config, logger: Logger): void {
  if (config.listenCipherSuites.length > 0) logger.warn("--listen-cipher-suites has no effect without TLS");
  if (config.clientCrlFile !== "") logger.warn("--client-crl-file has no effect without TLS");
}
