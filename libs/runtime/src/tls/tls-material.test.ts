import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parseCipherSuites } from "./cipher-suites.ts";
import { loadClientTls } from "./client-tls.ts";
import { loadServerTls } from "./server-tls.ts";
import { parseTlsVersions } from "./tls-versions.ts";

const folder = mkdtempSync(join(tmpdir(), "etcd-edge-tls-"));
afterAll(() => rmSync(folder, { recursive: true }));

function issue(name: string, subject: string): { cert: string; key: string } {
  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}-key.pem`);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  execFileSync("openssl", ["req", "-x509", ...curve, "-keyout", key, "-out", cert, "-subj", subject], {
    stdio: "ignore",
  });
  return { cert, key };
}
const named = issue("named", "/O=etcd/CN=root");
const nameless = issue("nameless", "/O=etcd");

describe("loadClientTls", () => {
  const none = { cert: "", key: "", cacert: "", insecureSkipTlsVerify: false };

  it("rule 8: refuses a certificate that would make every anonymous client its user", () => {
    expect(() => loadClientTls({ ...none, ...named })).toThrow(
      `cert has non empty Common Name (root): ${named.cert}`,
    );
  });
  it("takes a certificate without a Common Name", () => {
    expect(loadClientTls({ ...none, ...nameless, cacert: named.cert })?.current()).toMatchObject({
      cert: expect.any(Buffer),
      key: expect.any(Buffer),
      ca: expect.any(Buffer),
      rejectUnauthorized: true,
    });
  });
  it("means plaintext where nothing is set, and TLS without checks where only that is asked", () => {
    expect(loadClientTls(none)).toBeUndefined();
    expect(loadClientTls({ ...none, insecureSkipTlsVerify: true })?.current()).toEqual({
      rejectUnauthorized: false,
    });
  });
  it("names what is missing", () => {
    expect(() => loadClientTls({ ...none, cert: "a.pem" })).toThrow(
      "KeyFile and CertFile must both be present[key: , cert: a.pem]",
    );
    const gone = join(folder, "gone.pem");
    expect(() => loadClientTls({ ...none, cacert: gone })).toThrow(`open ${gone}: no such file or directory`);
  });
});

describe("loadServerTls", () => {
  const listener = { address: "127.0.0.1:1", versions: {} };

  it("requires client certificates as soon as a CA is given", async () => {
    const files = { certFile: named.cert, keyFile: named.key, trustedCaFile: "" };
    expect((await loadServerTls(files, listener))?.options).toMatchObject({
      requestCert: false,
      rejectUnauthorized: false,
    });
    expect(
      (await loadServerTls({ ...files, trustedCaFile: nameless.cert }, listener))?.options,
    ).toMatchObject({
      requestCert: true,
      rejectUnauthorized: true,
    });
  });
  it("refuses a CA alone in etcd's words", async () => {
    await expect(
      loadServerTls({ certFile: "", keyFile: "", trustedCaFile: "ca.pem" }, listener),
    ).rejects.toThrow("cannot listen on TLS for 127.0.0.1:1: KeyFile and CertFile are not presented");
  });
});

describe("parseTlsVersions", () => {
  const parse = (min: string, max: string, hasCipherSuites = false): unknown =>
    parseTlsVersions({ min, max, hasCipherSuites });
  it("reads etcd's spellings", () => {
    expect(parse("TLS1.2", "")).toEqual({ minVersion: "TLSv1.2" });
    expect(parse("TLS1.3", "TLS1.3")).toEqual({ minVersion: "TLSv1.3", maxVersion: "TLSv1.3" });
    expect(parse("", "")).toEqual({});
  });
  it.each([
    [
      "TLS1.1",
      "",
      false,
      'tls-min-version is invalid: unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)',
    ],
    ["TLS1.3", "TLS1.2", false, "min version (TLS1.3) is greater than max version (TLS1.2)"],
    ["TLS1.3", "", true, "cipher suites cannot be configured when only TLS1.3 is enabled"],
  ])("refuses %s to %s", (min, max, suites, message) => {
    expect(() => parse(min, max, suites)).toThrow(message);
  });
});

describe("parseCipherSuites", () => {
  it("reads Go's names, etcd's own and those of TLS 1.3, which a list does not limit", () => {
    expect(parseCipherSuites([])).toBeUndefined();
    const suites = parseCipherSuites([
      "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
      "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
      "TLS_AES_128_GCM_SHA256",
    ]);
    expect(suites?.split(":")).toEqual([
      "ECDHE-ECDSA-AES128-GCM-SHA256",
      "ECDHE-RSA-CHACHA20-POLY1305",
      "TLS_AES_128_GCM_SHA256",
      "TLS_AES_256_GCM_SHA384",
      "TLS_CHACHA20_POLY1305_SHA256",
    ]);
  });
  it.each([
    ["NOTHING", 'unexpected TLS cipher suite "NOTHING"'],
    [
      "TLS_RSA_WITH_RC4_128_SHA",
      'TLS cipher suite "TLS_RSA_WITH_RC4_128_SHA" is not available here: OpenSSL lacks it',
    ],
  ])("refuses %s", (name, message) => {
    expect(() => parseCipherSuites([name])).toThrow(message);
  });
});
