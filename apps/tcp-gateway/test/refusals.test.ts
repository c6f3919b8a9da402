import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rcode, startFakeResolver } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** Runs the gateway to its end. */
function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, "start", ...args], { timeout: 20_000 }, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : error === null ? 0 : -1;
      const lines = stderr.split("\n").filter((line) => !line.includes('"msg":"Running: "'));
      resolve({ code, stdout, stderr: lines.join("\n") });
    });
  });
}

describe("a gateway that cannot run says so in etcd's words and exits 1", () => {
  it.each([
    [["--endpoints", "localhost"], 'error parsing endpoint "localhost"'],
    [["--endpoints", "http://localhost"], 'error parsing endpoint "localhost"'],
    [["--endpoints", "a:1,"], 'error parsing endpoint ""'],
    [["--endpoints", ""], "no endpoints found"],
    [["--endpoints", " 127.0.0.1:1"], "failed to resolve endpoint host:  127.0.0.1"],
    [["--endpoints", "nohost.invalid:1"], "failed to resolve endpoint host: nohost.invalid"],
    [["--listen-addr", "127.0.0.1"], "failed to validate listen address: 127.0.0.1"],
    [["--listen-addr", "nohost.invalid:1"], "failed to resolve listen host: nohost.invalid"],
    [
      ["--endpoints", "localhost:40101", "--listen-addr", "127.0.0.1:40101"],
      "SRV or endpoint (localhost:40101->127.0.0.1:40101) should not resolve to the gateway listen addr (127.0.0.1:40101)",
    ],
    [
      ["--endpoints", "a,b:1,c", "--listen-addr", "x"],
      'error parsing endpoint "a"\nerror parsing endpoint "c"\nfailed to validate listen address: x',
    ],
  ])("%j", async (args, stdout) => {
    expect(await run(args)).toEqual({ code: 1, stdout, stderr: "" });
  });

  it("port in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const bound = server.address();
    const address = `127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`;
    const stderr = `listen tcp ${address}: bind: address already in use\n`;
    expect(await run(["--listen-addr", address])).toEqual({ code: 1, stdout: "", stderr });
    server.close();
    await once(server, "close");
  });

  it("no SRV records, not even when the default endpoint would be there", async () => {
    await using dns = await startFakeResolver(() => rcode(3));
    const { code, stdout, stderr } = await run(["--discovery-srv", "d.test", "--dns-servers", dns.address]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    const lookup = (name: string): string => `lookup ${name}._tcp.d.test on ${dns.address}: no such host`;
    expect(stderr).toContain(
      `dns lookup errors: ${lookup("_etcd-client-ssl")} and ${lookup("_etcd-client")}\n`,
    );
  });

  it("a unix socket that is its own endpoint, or shared like a port", async () => {
    const path = join(tmpdir(), "nowhere.sock");
    const listen = `--listen-addr=unix://${path}`;
    const loop = await run([listen, `--endpoints=unix:${path}`]);
    expect([loop.code, loop.stdout]).toEqual([
      1,
      `SRV or endpoint (${path}) should not resolve to the gateway listen addr (${path})`,
    ]);
    const shared = await run([listen, "--reuse-port"]);
    expect([shared.code, shared.stderr]).toEqual([1, "--reuse-port means nothing for a unix socket\n"]);
  });

  it("checks that cannot begin with a PROXY header", async () => {
    const { code, stderr } = await run(["--health-check=grpc", "--send-proxy-protocol=v1"]);
    expect(code).toBe(1);
    expect(stderr).toContain("--health-check=grpc excludes --send-proxy-protocol");
  });

  it("flags that do not parse", async () => {
    const { code, stderr } = await run(["--retry-delay", "5"]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'invalid argument "5" for "--retry-delay" flag: time: missing unit in duration "5"',
    );
  });
});
