import { randomBytes, webcrypto } from "node:crypto";
import { chmod, mkdir, rename, stat, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { ConfigError } from "../config-error.ts";
import type { Logger } from "../logging/logger.ts";

export interface SelfSignedOptions {
  /** Folder for `cert.pem` and `key.pem`; made where it is not. What both hold already is used as it is. */
  readonly folder: string;
  /** Names and addresses of the listener. */
  readonly hosts: readonly string[];
  /** From now on. */
  readonly validityYears: number;
  readonly logger: Logger;
}

const yearMs = 365 * 24 * 3_600_000;

/**
 * `--auto-tls`: a certificate that nobody signed but its own key. ECDSA on P-521 for the organisation `etcd`, as etcd's
 * own proxy makes it; unlike that one it names the address it is for.
 * @throws ConfigError where the validity is no time
 */
export async function ensureSelfSigned(
  options: SelfSignedOptions,
): Promise<{ readonly certFile: string; readonly keyFile: string }> {
  const { folder, validityYears, logger } = options;
  if (validityYears < 1) {
    throw new ConfigError("selfSignedCertValidity is invalid,it should be greater than 0");
  }
  const files = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  if ((await exists(files.certFile)) && (await exists(files.keyFile))) {
    logger.info("used the self-signed certificate that was there", files);
    return files;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { cert, key } = await createSelfSigned(options);
  await writeWhole(files.keyFile, key);
  await writeWhole(files.certFile, cert);
  logger.warn("created a self-signed certificate: clients cannot verify it", { ...files, validityYears });
  return files;
}

async function createSelfSigned({
  hosts,
  validityYears,
}: SelfSignedOptions): Promise<{ cert: string; key: string }> {
  // Large, and wanted once in the life of a data folder.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" } as const;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: `40${randomBytes(15).toString("hex")}`, // positive: the first bit is 0
    name: "O=etcd",
    notBefore: new Date(now),
    notAfter: new Date(now + validityYears * yearMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host })),
      ),
    ],
  });
  const der = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n`,
  };
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** Never seen half: written beside, then renamed. Only its owner may read it. */
async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, text, { mode: 0o600 });
  await chmod(draft, 0o600);
  await rename(draft, path);
}
