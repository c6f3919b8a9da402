import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findFreePorts, isFree, startProgram } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { clusterOptions } from "../src/options.ts";

const execute = promisify(execFile);
const main = join(import.meta.dirname, "..", "src", "main.ts");

/** Base ports far from everybody's: each tier needs room for its replicas. */
async function portFlags(): Promise<{ flags: string[]; first: number }> {
  for (;;) {
    const [first = 0] = await findFreePorts(1);
    const wanted = [0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 60, 80, 81, 90, 91].map((step) => first + step);
    const free = await Promise.all(wanted.map(isFree));
    if (!free.every(Boolean)) continue;
    const flags = [
      `--etcd-port=${first}`,
      `--tcp-gateway-port=${first + 30}`,
      `--grpc-proxy-port=${first + 31}`,
      `--http-gateway-port=${first + 40}`,
      `--discovery-port=${first + 41}`,
      `--dns-port=${first + 60}`,
    ];
    return { flags, first };
  }
}

describe("npm start", () => {
  it("starts etcd and every tier, prints commands that work, and leaves nothing behind on Ctrl-C", async () => {
    const { flags, first } = await portFlags();
    await using demo = startProgram(process.execPath, [main, ...flags]);
    await demo.waitForLine("Ctrl-C stops everything.", { timeoutMs: 150_000 });
    const commands = demo
      .output()
      .split("\n")
      .filter((line) => /^ {2}(ETCDCTL|curl|dig)/.test(line));
    expect(commands).toHaveLength(6);
    for (const command of commands) {
      if (command.includes(" watch ")) {
        // From the beginning, so that it shows the put before it.
        await using watch = startProgram("sh", ["-c", `exec env ${command.trim()} --rev=1`]);
        await watch.waitForLine("greeting");
      } else {
        const { stdout } = await execute("sh", ["-c", command]);
        expect(stdout, command).toMatch(/OK|greeting|2379|SRV|m1|hello|Z3JlZXRpbmc/);
      }
    }
    demo.signal("SIGINT");
    expect(await demo.exited).toBe(0);
    for (const port of [first, first + 10, first + 20, first + 30, first + 31, first + 40, first + 41]) {
      expect(await isFree(port), `port ${port}`).toBe(true);
    }
  });

  it("names the ports that are in use, before anything starts", async () => {
    const { flags, first } = await portFlags();
    await using squatter = startProgram(process.execPath, [
      "-e",
      `require("node:net").createServer().listen(${first + 31}, "127.0.0.1", () => console.log("listening"))`,
    ]);
    await squatter.waitForLine("listening");
    await using demo = startProgram(process.execPath, [main, ...flags]);
    expect(await demo.exited).toBe(1);
    expect(demo.output()).toBe(`ports in use: ${first + 31}; choose others, see npm start -- --help`);
  });

  it("documents every flag", async () => {
    const { stdout } = await execute(process.execPath, [main, "--help"]);
    for (const { flag } of Object.values(clusterOptions)) expect(stdout).toContain(`--${flag} `);
  });
});
