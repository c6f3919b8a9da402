import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request as secureRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findEtcdBinaries, type RunningProgram, startEtcdCluster, startProgram } from "@etcd-edge/testkit";
import { expect, it } from "vitest";
import { exchange } from "./support/http-exchange.ts";

const execute = promisify(execFile);
const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const oldest = (await findEtcdBinaries())[0];

async function start(args: readonly string[]): Promise<{ program: RunningProgram; url: string }> {
  const program = startProgram(process.execPath, [main, "start", "--listen-addr=127.0.0.1:0", ...args]);
  const line = JSON.parse(await program.waitForLine("ready to serve client requests")) as { address: string };
  return { program, url: line.address };
}

it("ends a watch with UNAVAILABLE on SIGTERM, and itself with 0", async () => {
  if (oldest === undefined) throw new Error("no etcd is installed");
  await using cluster = await startEtcdCluster({ binary: oldest });
  const { program, url } = await start([`--endpoints=${cluster.endpoints.join(",")}`]);
  await using _ = program;
  const watch = exchange(
    url,
    { method: "POST", path: "/v3/watch", body: '{"create_request":{"key":"Zm9v"}}' },
    (body) => {
      if (body.endsWith('"created":true}}\n')) program.signal("SIGTERM");
      return false;
    },
  );
  expect((await watch).body).toContain('"message":"etcd-edge: the proxy is shutting down"');
  expect(await program.exited).toBe(0);
  expect(program.output()).toContain('"msg":"drained"');
});

it("serves TLS and asks for a client certificate when told whose", async () => {
  if (oldest === undefined) throw new Error("no etcd is installed");
  const folder = await mkdtemp(join(tmpdir(), "etcd-edge-http-"));
  try {
    const certFile = join(folder, "cert.pem");
    const keyFile = join(folder, "key.pem");
    await execute("openssl", [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      keyFile,
      "-out",
      certFile,
      "-subj",
      "/O=etcd-edge",
      "-addext",
      "subjectAltName=IP:127.0.0.1",
    ]);
    await using cluster = await startEtcdCluster({ binary: oldest, tls: { certFile, keyFile } });
    const tlsFlags = [`--cert-file=${certFile}`, `--key-file=${keyFile}`, `--trusted-ca-file=${certFile}`];
    const { program, url } = await start([
      `--endpoints=${cluster.endpoints.join(",")}`,
      `--cacert=${certFile}`,
      ...tlsFlags,
    ]);
    await using _ = program;
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    const ask = async (credentials: object): Promise<string> => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const outgoing = secureRequest(`${url}/v3/kv/range`, {
        method: "POST",
        agent: false,
        ca: cert,
        ...credentials,
      });
      outgoing.on("response", (response) => void text(response).then(resolve, reject));
      outgoing.on("error", reject);
      outgoing.end('{"key":"Zm9v"}');
      return await promise;
    };
    expect(await ask({ cert, key })).toContain('"revision":"1"');
    await expect(ask({})).rejects.toThrow();
  } finally {
    await rm(folder, { recursive: true });
  }
});

it.each([
  [["start", "--listen-addr=127.0.0.1"], 'invalid argument "127.0.0.1" for "--listen-addr" flag'],
  [["start", "--endpoints=nowhere"], 'error parsing endpoint "nowhere"'],
  [
    ["start", "--json-profile=v3"],
    'invalid argument "v3" for "--json-profile" flag: must be one of auto, v1, v2',
  ],
  [["start", "--cors=*,http://a.example"], 'invalid "--cors": "*" cannot be mixed with origins'],
  [["start", "--max-request-bytes=0"], '"--max-request-bytes" flag: must be greater than 0'],
  [["start", "--no-such-flag"], "unknown flag: --no-such-flag"],
])("refuses %j before it listens", async (args, message) => {
  const failure = await execute(process.execPath, [main, ...args]).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
});
