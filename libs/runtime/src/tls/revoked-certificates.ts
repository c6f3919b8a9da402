import type { Logger } from "../logging/logger.ts";
import { createChangeCheck } from "./changed-files.ts";
import { readPem } from "./pem-files.ts";

/** Says whether a certificate is on the list. */
export interface RevokedCertificates {
  /** @param serialNumber hexadecimal, as node:crypto prints it */
  has(serialNumber: string): boolean;
}

/**
 * The list behind `--client-crl-file`, PEM or DER. Asked at each handshake, it reads the file again when that changed. As
 * in etcd a serial number counts whoever signed the list and whenever it expires; a file that cannot be read keeps
 * everyone out who has a certificate.
 * @throws ConfigError where the file cannot be read at the start
 */
export async function openRevokedCertificates(path: string, logger: Logger): Promise<RevokedCertificates> {
  const parse = await loadParser();
  const read = (): ReadonlySet<string> => parse(readPem(path));
  let serials: ReadonlySet<string> | undefined = read();
  const hasChanged = createChangeCheck([path]);
  return {
    has: (serialNumber) => {
      if (hasChanged()) {
        try {
          serials = read();
          logger.info("read the revocation list again", { path, entries: serials.size });
        } catch (error) {
          serials = undefined;
          logger.error("no client is let in: the revocation list cannot be read", { path, error });
        }
      }
      return serials === undefined || serials.has(normalise(serialNumber));
    },
  };
}

/** The library is large: only those who have a list load it. */
async function loadParser(): Promise<(bytes: Buffer) => ReadonlySet<string>> {
  await import("reflect-metadata");
  const { PemConverter, X509Crl } = await import("@peculiar/x509");
  return (bytes) => {
    const text = bytes.toString("latin1");
    const lists = PemConverter.isPem(text) ? PemConverter.decode(text) : [bytes];
    return new Set(
      lists.flatMap((list) => new X509Crl(list).entries.map((entry) => normalise(entry.serialNumber))),
    );
  };
}

/** One spelling for a number: no leading zeros, lower case. */
function normalise(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, "");
}
