import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { startProgram } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";

const execute = promisify(execFile);
const launcher = join(import.meta.dirname, "..", "bin", "etcd-edge.mjs");
const run = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  execute(process.execPath, [launcher, ...args]);

describe("npx etcd-edge", () => {
  it.each([
    ["gateway", "start the gateway"],
    ["grpc-proxy", "start the grpc proxy"],
    ["http-gateway", "start"],
    ["discovery", "start"],
  ])("runs %s", async (tier, text) => {
    const { stdout } = await run(tier, "start", "--help");
    expect(stdout).toContain(text);
    expect(stdout).toContain(`Usage:\n  etcd-edge ${tier} start [flags]\n`);
    expect((await run(tier, "--version")).stdout).toMatch(/^etcd-edge [\w-]+ \d+\.\d+\.\d+\n$/);
  });

  it("runs verify", async () => {
    expect((await run("verify", "--help")).stdout).toContain("etcd-edge verify --endpoints=host:port");
    await expect(run("verify", "--faults=cut")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        "Error: --endpoints or --start is needed\nError: --faults needs --start",
      ),
    });
  });

  it("lists the tiers, and prints its version", async () => {
    expect((await run()).stdout).toContain("  grpc-proxy    gRPC proxy");
    expect((await run("--version")).stdout).toMatch(/^etcd-edge \d+\.\d+\.\d+\n$/);
  });

  it("refuses what is no tier", async () => {
    await expect(run("bogus")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Error: unknown command "bogus" for "etcd-edge"'),
    });
  });

  it("says the lines that etcd's test harness waits for, and ends gently on SIGTERM", async () => {
    for (const [tier, line] of [
      ["gateway", "ready to proxy client requests"],
      ["grpc-proxy", "started gRPC proxy"],
    ] as const) {
      const args = [launcher, tier, "start", "--listen-addr=127.0.0.1:0", "--endpoints=127.0.0.1:1"];
      await using program = startProgram(process.execPath, args);
      await program.waitForLine(line);
      program.signal("SIGTERM");
      expect(await program.exited, tier).toBe(0);
    }
  });
});
