import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

/** Who a certificate is for. */
export interface CertificateRequest {
  /** File name without its ending. A name that was issued before is overwritten: that is a rotation. */
  readonly name: string;
  /** `O=etcd`, `CN=alice`. Default: the empty name, which is what a front door may show to etcd. */
  readonly subject?: string;
  /** Default `127.0.0.1` and `localhost`. */
  readonly hosts?: readonly string[];
  /** Default one day from now. */
  readonly notAfter?: Date;
}

/** A certificate on disk. */
export interface IssuedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** Hexadecimal. */
  readonly serialNumber: string;
}

/** A certificate authority in a temporary folder. Disposing removes the folder. */
export interface CertificateAuthority extends AsyncDisposable {
  /** Its own certificate, PEM. */
  readonly ca: Buffer;
  readonly caFile: string;
  readonly folder: string;
  issue(request: CertificateRequest): Promise<IssuedCertificate>;
  /** Writes the list of revoked certificates to `<folder>/revoked.crl` (PEM). @returns its path */
  revoke(serialNumbers: readonly string[]): Promise<string>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 86_400_000;

/** Makes an authority for tests, without openssl and within milliseconds. */
export async function createCertificateAuthority(subject = "CN=test ca"): Promise<CertificateAuthority> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-authority-"));
  const caFile = join(folder, "ca.pem");
  const keys = await createKeys();
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(),
    name: subject,
    ...lifetime(),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeFile(caFile, toPem(own));

  return {
    ca: toPem(own),
    caFile,
    folder,
    issue: async (request) => {
      const certFile = join(folder, `${request.name}.pem`);
      const keyFile = join(folder, `${request.name}.key`);
      const theirs = await createKeys();
      const serialNumber = newSerialNumber();
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber,
        subject: request.subject ?? "",
        issuer: own.subject,
        ...lifetime(request.notAfter),
        signingAlgorithm: algorithm,
        publicKey: theirs.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          // Critical where there is no subject beside it (RFC 5280, section 4.2.1.6).
          new x509.SubjectAlternativeNameExtension(
            (request.hosts ?? ["127.0.0.1", "localhost"]).map(toAlternativeName),
            request.subject === undefined,
          ),
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
        ],
      });
      const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", theirs.privateKey));
      await writeFile(keyFile, x509.PemConverter.encode(der, "PRIVATE KEY"));
      await writeFile(certFile, toPem(certificate));
      return { certFile, keyFile, serialNumber };
    },
    revoke: async (serialNumbers) => {
      const crl = await x509.X509CrlGenerator.create({
        issuer: own.subject,
        thisUpdate: lifetime().notBefore,
        nextUpdate: lifetime().notAfter,
        signingAlgorithm: algorithm,
        signingKey: keys.privateKey,
        entries: serialNumbers.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
      });
      const file = join(folder, "revoked.crl");
      // As openssl and Go name it; the library itself would write "CRL".
      await writeFile(file, x509.PemConverter.encode(crl.rawData, "X509 CRL"));
      return file;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function lifetime(notAfter = new Date(Date.now() + dayMs)): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - dayMs), notAfter };
}

/** Positive, as RFC 5280 wants it: the first bit is 0. */
function newSerialNumber(): string {
  const bytes = webcrypto.getRandomValues(Buffer.alloc(12));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function toAlternativeName(host: string): { type: "ip" | "dns"; value: string } {
  return { type: /^[\d.]+$|:/.test(host) ? "ip" : "dns", value: host };
}

function toPem(certificate: x509.X509Certificate): Buffer {
  return Buffer.from(`${certificate.toString("pem")}\n`);
}
