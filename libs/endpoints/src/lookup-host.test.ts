import { startFakeResolver } from "@etcd-edge/testkit";
import { expect, it } from "vitest";
import { createConfiguredClient } from "./dns/configured-client.ts";
import { alsoResolveBy, resolveHost } from "./lookup-host.ts";

it.each(["localhost", "localhost."])("resolves %s", async (host) => {
  expect(await resolveHost(host)).toContain("127.0.0.1");
});

it("takes an address for itself", async () => {
  expect(await resolveHost("::1")).toEqual(["::1"]);
});

it.each(["nohost.invalid", "nohost.invalid."])("rejects %s", async (host) => {
  await expect(resolveHost(host)).rejects.toThrow("ENOTFOUND");
});

it("asks the resolvers of --dns-servers for what the system does not find, and tells the system's error if they do not either", async () => {
  await using dns = await startFakeResolver((question) => {
    if (question === "A only-there.invalid")
      return { answers: [{ type: "A", name: "only-there.invalid", ttl: 5, data: "192.0.2.7" }] };
    if (question === "AAAA only-there.invalid")
      return { answers: [{ type: "AAAA", name: "only-there.invalid", ttl: 5, data: "2001:db8::7" }] };
    return { flags: 3 };
  });
  createConfiguredClient([dns.address]);
  try {
    expect(await resolveHost("only-there.invalid.")).toEqual(["192.0.2.7", "2001:db8::7"]);
    await expect(resolveHost("nobody-knows.invalid.")).rejects.toThrow("getaddrinfo");
    expect(await resolveHost("localhost")).toContain("127.0.0.1");
    expect(dns.asked.filter((asked) => asked.includes("localhost"))).toEqual([]);
  } finally {
    alsoResolveBy(undefined);
  }
});
