import { networkInterfaces } from "node:os";
import { parseEndpoints } from "@etcd-edge/endpoints";
import { describe, expect, it } from "vitest";
import { checkEndpoints, checkListenAddress, type ListenAddress, leadsTo } from "./address-checks.ts";

describe("checkListenAddress", () => {
  it.each([
    ["an address", "127.0.0.1:23790", "127.0.0.1"],
    ["an IPv6 address", "[::1]:23790", "::1"],
    ["no host: every interface", ":23790", "::"],
    ["port 0: the system chooses", "127.0.0.1:0", "127.0.0.1"],
  ])("takes %s", async (_, text, address) => {
    expect(await checkListenAddress(text)).toMatchObject({ value: { address }, errors: [] });
  });

  it.each([
    ["127.0.0.1", "failed to validate listen address: 127.0.0.1"],
    ["127.0.0.1:http", "failed to validate listen address: 127.0.0.1:http"],
    ["nohost.invalid:1", "failed to resolve listen host: nohost.invalid"],
  ])("refuses %s", async (text, error) => {
    expect(await checkListenAddress(text)).toEqual({ value: undefined, errors: [error] });
  });
});

describe("checkEndpoints", () => {
  it("finds every unresolvable host and every loop", async () => {
    const { endpoints } = parseEndpoints([
      "a.invalid:1",
      "localhost:40101",
      "127.0.0.1:2",
      "b.invalid:1",
      "unix:///x",
    ]);
    const listen: ListenAddress = { host: "127.0.0.1", port: 40101, address: "127.0.0.1" };
    expect(await checkEndpoints(endpoints, listen)).toEqual([
      "failed to resolve endpoint host: a.invalid",
      "SRV or endpoint (localhost:40101->127.0.0.1:40101) should not resolve to the gateway listen addr (127.0.0.1:40101)",
      "failed to resolve endpoint host: b.invalid",
    ]);
  });
});

describe("leadsTo", () => {
  const outside = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ internal }) => !internal)?.address;
  it.each([
    ["the same address", "127.0.0.1", "127.0.0.1", true],
    ["another address of this host, listening on one", "127.0.0.1", outside ?? "192.0.2.1", false],
    ["loopback, listening everywhere (IPv4)", "0.0.0.0", "127.0.0.1", true],
    ["loopback, listening everywhere (IPv6)", "::", "127.0.0.1", true],
    ["our own outside address, listening everywhere", "0.0.0.0", outside ?? "127.0.0.2", true],
    ["somebody else, listening everywhere", "0.0.0.0", "192.0.2.1", false],
    ["the same IPv6 address in another spelling", "::1", "0:0:0:0:0:0:0:1", true],
    ["an IPv4 address inside an IPv6 one", "127.0.0.1", "::ffff:127.0.0.1", true],
  ])("%s", (_, address, host, expected) => {
    expect(leadsTo({ host: "", port: 5, address }, { host, port: 5 })).toBe(expected);
    expect(leadsTo({ host: "", port: 5, address }, { host, port: 6 })).toBe(false);
  });
});
