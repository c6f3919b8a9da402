import { execFileSync } from "node:child_process";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseEndpoints } from "@etcd-edge/endpoints";
import { silentLogger } from "@etcd-edge/runtime";
import { type CertificateAuthority, createAuthority, type IssuedCertificate } from "@etcd-edge/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type IdentityConfig, loadOwnIdentity, type OwnIdentity } from "./own-identity.ts";

const dayMs = 86_400_000;

describe("whom a tier acts as in its own name", () => {
  let authority: CertificateAuthority;
  let edge: IssuedCertificate;
  beforeAll(async () => {
    authority = await createAuthority();
    edge = await authority.issue({ name: "edge", subject: "O=etcd, CN=edge" });
    await writeFile(join(authority.folder, "password"), "pw\n");
  });
  afterAll(() => authority[Symbol.asyncDispose]());

  const file = (name: string): string => join(authority.folder, name);
  function load(
    flags: Partial<IdentityConfig>,
    endpoints: readonly string[] = [],
    warnings: unknown[] = [],
  ): OwnIdentity | undefined {
    return loadOwnIdentity(
      {
        ...{ user: "", passwordFile: "", userCert: "", userKey: "" },
        ...{ cacert: "", insecureSkipTlsVerify: false },
        ...flags,
      },
      parseEndpoints(endpoints).endpoints,
      { ...silentLogger, warn: (_msg, fields) => void warnings.push(fields?.["error"]) },
    );
  }
  const certificate = ({ certFile, keyFile }: IssuedCertificate): Partial<IdentityConfig> => ({
    ...{ userCert: certFile, userKey: keyFile },
  });

  it("is nobody, the user of a password, or the Common Name of a certificate", () => {
    expect(load({})).toBeUndefined();
    const byPassword = load({ user: "root", passwordFile: file("password") });
    expect(byPassword).toMatchObject({ credential: { user: "root", by: "token" }, tls: undefined });
    const own = load(certificate(edge), ["127.0.0.1:2379", "https://b:2379", "unixs:///s"]);
    expect(own).toMatchObject({ credential: { user: "edge", by: "certificate" } });
    expect(own?.tls?.current()).toMatchObject({ cert: expect.any(Buffer), key: expect.any(Buffer) });
  });

  it("shows no token where a certificate says it", async () => {
    const credential = load(certificate(edge))?.credential;
    const shown = await credential?.call(
      () => Promise.reject(new Error("nothing is to be asked")),
      (metadata) => Promise.resolve(metadata),
    );
    expect(shown).toEqual([]);
  });

  it("is one of both: half of a pair, and both pairs, are refused by name", () => {
    const { userCert = "", userKey = "" } = certificate(edge);
    const pair = "--user-cert and --user-key must be given together";
    expect(() => load({ userCert })).toThrow(pair);
    expect(() => load({ userKey })).toThrow(pair);
    expect(() => load({ user: "root" })).toThrow("--user and --password-file must be given together");
    const both = "--user and --password-file exclude --user-cert and --user-key";
    expect(() => load({ user: "root", userCert, userKey })).toThrow(both);
    expect(() => load({ passwordFile: "f", userCert })).toThrow(both);
  });

  it("is not shown in plaintext", () => {
    expect(() => load(certificate(edge), ["https://a:1", "http://b:2"])).toThrow(
      "--user-cert needs TLS, and http://b:2 is spoken to without",
    );
    expect(() => load(certificate(edge), ["unix:///s"])).toThrow("--user-cert needs TLS");
  });

  it("tells what is wrong with a certificate, and with which", async () => {
    const gone = file("gone.pem");
    expect(() => load({ ...certificate(edge), userCert: gone })).toThrow(
      `--user-cert: open ${gone}: no such file or directory`,
    );
    expect(() => load({ ...certificate(edge), userKey: gone })).toThrow(
      `--user-key: open ${gone}: no such file or directory`,
    );
    expect(() => load({ ...certificate(edge), userCert: edge.keyFile })).toThrow(
      `--user-cert: ${edge.keyFile}: no PEM certificate`,
    );
    const other = await authority.issue({ name: "other", subject: "CN=other" });
    expect(() => load({ ...certificate(edge), userKey: other.keyFile })).toThrow(/^tls: /);

    const nameless = await authority.issue({ name: "nameless", subject: "O=etcd" });
    expect(() => load(certificate(nameless))).toThrow(
      `--user-cert: ${nameless.certFile} has no Common Name: etcd would see no user`,
    );
    const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 - dayMs / 2);
    const expired = await authority.issue({ name: "expired", subject: "CN=edge", notAfter });
    expect(() => load(certificate(expired))).toThrow(
      `--user-cert: ${expired.certFile} has expired: it was valid until ${notAfter.toISOString()}`,
    );
    const server = { certFile: file("server.pem"), keyFile: file("server.key"), serialNumber: "" };
    const usage = ["-addext", "extendedKeyUsage=serverAuth"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const out = ["-keyout", server.keyFile, "-out", server.certFile, "-subj", "/CN=edge"];
    execFileSync("openssl", ["req", "-x509", ...curve, ...usage, ...out], { stdio: "ignore" });
    expect(() => load(certificate(server))).toThrow(
      `--user-cert: ${server.certFile} is not for client authentication`,
    );
  });

  it("reads files that were replaced, as long as they are of the same user and valid", async () => {
    const used = { certFile: file("used.pem"), keyFile: file("used.key"), serialNumber: "" };
    const replaceBy = async (by: IssuedCertificate): Promise<void> => {
      await copyFile(by.certFile, used.certFile);
      await copyFile(by.keyFile, used.keyFile);
    };
    await replaceBy(edge);
    const warnings: unknown[] = [];
    const tls = load(certificate(used), [], warnings)?.tls;
    const before = tls?.current().cert;
    await replaceBy(await authority.issue({ name: "renewed", subject: "CN=edge" }));
    const renewed = tls?.current().cert;
    expect(renewed).not.toEqual(before);
    expect(warnings).toEqual([]);

    const notAfter = new Date(Date.now() - dayMs / 2);
    await replaceBy(await authority.issue({ name: "old", subject: "CN=edge", notAfter }));
    expect(tls?.current().cert).toEqual(renewed);
    await replaceBy(await authority.issue({ name: "else", subject: "CN=root" }));
    expect(tls?.current().cert).toEqual(renewed);
    expect(warnings.map(String)).toEqual([
      expect.stringContaining("has expired"),
      expect.stringContaining(`is of "root", and was of "edge"`),
    ]);
  });
});
