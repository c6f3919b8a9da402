import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { startProgram } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "app-process.ts");
const messages = (output: string): string[] =>
  output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => (JSON.parse(line) as { msg: string }).msg);

describe("the life of an app's process", () => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "drains on %s, takes a repeat for nothing, and exits 0",
    async (signal) => {
      await using app = startProgram(process.execPath, [main, "start"]);
      await app.waitForLine("started");
      app.signal(signal);
      app.signal("SIGINT");
      app.signal("SIGTERM");
      expect(await app.exited).toBe(0);
      expect(messages(app.output())).toEqual(["Running: ", "shutting down", "drained"]);
      expect(app.output().match(/draining/g)).toHaveLength(1);
      expect(app.output()).toContain("disposed");
    },
  );

  it("cuts what is left when the grace period is over, and exits 0 all the same", async () => {
    const args = [main, "start", "--behaviour=hangs", "--shutdown-grace-period=200ms"];
    await using app = startProgram(process.execPath, args);
    await app.waitForLine("started");
    const began = performance.now();
    app.signal("SIGTERM");
    app.signal("SIGTERM");
    expect(await app.exited).toBe(0);
    expect(performance.now() - began).toBeGreaterThan(190);
    expect(messages(app.output()).at(-1)).toBe("grace period is over, closing what is left");
  });

  it("logs its arguments first", async () => {
    await using app = startProgram(process.execPath, [main, "start", "--behaviour", "drains"]);
    const line = await app.waitForLine("Running: ");
    expect(JSON.parse(line)).toMatchObject({
      level: "info",
      msg: "Running: ",
      args: ["etcd-edge", "door", "start", "--behaviour", "drains"],
    });
    app.signal("SIGTERM");
    await app.exited;
  });

  it("exits 1 with the problem and the usage on standard error, and starts nothing", async () => {
    await using app = startProgram(process.execPath, [main, "start", "--bogus"]);
    expect(await app.exited).toBe(1);
    expect(app.output()).toContain("Error: unknown flag: --bogus\nUsage:\n");
    expect(app.output()).not.toContain("started");
  });

  it("tells systemd that it is ready and that it stops, with etcd's log lines", async () => {
    const folder = await mkdtemp(join(tmpdir(), "etcd-edge-notify-"));
    try {
      // Stands in for systemd-notify(1), whose arguments are all that we are responsible for.
      const program = join(folder, "systemd-notify");
      await writeFile(program, `#!/bin/sh\necho "$NOTIFY_SOCKET $@" >> ${join(folder, "calls")}\n`);
      await chmod(program, 0o755);
      const env = { NOTIFY_SOCKET: "/run/fake", PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}` };
      await using app = startProgram(process.execPath, [main, "start"], { env });
      await app.waitForLine("successfully notified init daemon");
      app.signal("SIGTERM");
      expect(await app.exited).toBe(0);
      const calls = await readFile(join(folder, "calls"), "utf8");
      expect(calls).toBe(`/run/fake --pid=${app.pid} READY=1\n/run/fake --pid=${app.pid} STOPPING=1\n`);
      expect(messages(app.output())).toEqual([
        "Running: ",
        "notifying init daemon",
        "successfully notified init daemon",
        "shutting down",
        "notifying init daemon",
        "successfully notified init daemon",
        "drained",
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("goes on when systemd cannot be told", async () => {
    const env = { NOTIFY_SOCKET: "/run/fake", PATH: "/nonexistent" };
    await using app = startProgram(process.execPath, [main, "start"], { env });
    await app.waitForLine("failed to notify systemd for readiness");
    app.signal("SIGTERM");
    expect(await app.exited).toBe(0);
  });
});
