import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, createMetrics, type Logger, silentLogger } from "@etcd-edge/runtime";
import { createAuthority, findFreePorts, requireProgram, startProgram } from "@etcd-edge/testkit";
import { describe, expect, it } from "vitest";
import { type FabricConfig, fabricOptions, type OpenedBus, openBus } from "../src/index.ts";

const natsServer = await requireProgram("nats-server");
/** Wide enough for a machine that is starved. */
const patience = { timeout: 60_000, interval: 20 };

function open(changed: Partial<FabricConfig>, logger: Logger = silentLogger): OpenedBus {
  const defaults = Object.fromEntries(
    Object.entries(fabricOptions).map(([name, option]) => [name, option.default]),
  );
  // Every row of the table was filled with its own default just now.
  const config = { ...(defaults as unknown as FabricConfig), ...changed };
  return openBus(config, { logger, metrics: createMetrics("test"), name: "test", alone: "being alone" });
}

describe("openBus", () => {
  it("stays within the process without a server, and is protected: nobody else is there", async () => {
    const { bus, isProtected, key } = open({});
    await using _bus = bus;
    expect(bus.state()).toEqual({ t: "local" });
    expect({ isProtected, key }).toEqual({ isProtected: true, key: undefined });
  });

  it.each([
    ["nothing", {}, false],
    ["a user", { natsUrl: ["nats://u:p@127.0.0.1:1"] }, true],
    ["a token", { natsUrl: ["nats://t@127.0.0.1:1"] }, true],
    ["a credentials file", { natsCredsFile: "/nowhere" }, true],
    ["a certificate", { natsCert: "/nowhere", natsKey: "/nowhere" }, true],
  ])("with %s to show NATS: protected %s", async (_name, changed, expected) => {
    const { bus, isProtected } = open({ natsUrl: ["nats://127.0.0.1:1"], ...changed });
    await using _bus = bus;
    expect(isProtected).toBe(expected);
  });

  it("speaks TLS where it is told whom to trust, shows its certificate, and says why it cannot", async () => {
    await using authority = await createAuthority();
    const server = await authority.issue({ name: "server" });
    const client = await authority.issue({ name: "client", subject: "CN=edge" });
    const [port] = await findFreePorts(1);
    await using nats = startProgram(natsServer, [
      ...["-a", "127.0.0.1", "-p", String(port), "--tls", "--tlsverify"],
      ...["--tlscert", server.certFile, "--tlskey", server.keyFile, "--tlscacert", authority.caFile],
    ]);
    await nats.waitForLine("Server is ready");
    const natsUrl = [`nats://127.0.0.1:${port}`];
    const good = open({
      ...{ natsUrl, natsCacert: authority.caFile, natsCert: client.certFile, natsKey: client.keyFile },
    });
    await using _good = good.bus;
    const nobody = open({ natsUrl, natsCacert: authority.caFile });
    await using _nobody = nobody.bus;
    await expect.poll(() => good.bus.state(), patience).toMatchObject({ t: "connected" });
    const refused = { t: "connecting", error: expect.any(String) };
    await expect.poll(() => nobody.bus.state(), patience).toMatchObject(refused);
    await good.bus.flush();
    expect(good.bus.maxPayloadBytes).toBe(1 << 20);
    await expect(nobody.bus.flush()).rejects.toThrow("not connected to NATS");
  });

  it("says that a credentials file cannot be read, and goes on trying: it may come", async () => {
    const warnings: unknown[] = [];
    const logger: Logger = { ...silentLogger, warn: (text, fields) => void warnings.push([text, fields]) };
    const { bus } = open({ natsUrl: ["nats://127.0.0.1:1"], natsCredsFile: "/nowhere/creds" }, logger);
    await using _bus = bus;
    await expect
      .poll(() => warnings[0], patience)
      .toEqual(["not connected to NATS, being alone", { error: expect.stringContaining("ENOENT") }]);
  });

  it("refuses servers that do not parse, and a key that is not there or empty", async () => {
    await using authority = await createAuthority();
    const empty = join(authority.folder, "empty");
    await writeFile(empty, "");
    expect(() => open({ natsUrl: ["http://x"] })).toThrow(ConfigError);
    expect(() => open({ fabricKeyFile: "/nowhere/key" })).toThrow(ConfigError);
    expect(() => open({ fabricKeyFile: empty })).toThrow("is empty");
  });
});
