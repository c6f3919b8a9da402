import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

export type Certificates = AsyncDisposable & {
  readonly ca: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
};

/** A CA and a server certificate for `names` (as `DNS:x`, `IP:y`) in a temporary folder, valid for a day. */
export async function makeCertificates(names: readonly string[]): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-certificates-"));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => execute("openssl", args);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    file("ca.key"),
    "-out",
    file("ca.pem"),
    "-days",
    "1",
    "-subj",
    "/CN=test ca",
  );
  await openssl(
    "req",
    ...newKey,
    "-keyout",
    file("server.key"),
    "-out",
    file("server.csr"),
    "-subj",
    "/CN=server",
  );
  await writeFile(file("extensions"), `subjectAltName=${names.join(",")}\n`);
  const signed = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "1"];
  await openssl(
    "x509",
    "-req",
    "-in",
    file("server.csr"),
    ...signed,
    "-extfile",
    file("extensions"),
    "-out",
    file("server.pem"),
  );
  return {
    ca: await readFile(file("ca.pem"), "utf8"),
    caFile: file("ca.pem"),
    certFile: file("server.pem"),
    keyFile: file("server.key"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
