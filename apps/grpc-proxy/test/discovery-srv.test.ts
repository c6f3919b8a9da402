import { rcode, startFakeResolver } from "@etcd-edge/testkit";
import { expect, it } from "vitest";
import { startProxy } from "./proxy-under-test.ts";

it("refuses to start where no SRV record exists, rather than use whatever runs at the default address", async () => {
  const nameError = 3;
  await using dns = await startFakeResolver(() => rcode(nameError));
  const flags = { discoverySrv: "example.test", dnsServers: [dns.address] };
  await expect(startProxy(flags)).rejects.toThrow(
    /^dns lookup errors: .*_etcd-client-ssl\._tcp\.example\.test/,
  );
});

it("falls back on endpoints that somebody wrote", async () => {
  const nameError = 3;
  await using dns = await startFakeResolver(() => rcode(nameError));
  await using proxy = await startProxy({
    discoverySrv: "example.test",
    dnsServers: [dns.address],
    endpoints: ["127.0.0.1:1"],
  });
  expect(proxy.address.port).toBeGreaterThan(0);
});
