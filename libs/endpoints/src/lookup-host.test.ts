import { expect, it } from "vitest";
import { resolveHost } from "./lookup-host.ts";

it.each(["localhost", "localhost."])("resolves %s", async (host) => {
  expect(await resolveHost(host)).toContain("127.0.0.1");
});

it("takes an address for itself", async () => {
  expect(await resolveHost("::1")).toEqual(["::1"]);
});

it.each(["nohost.invalid", "nohost.invalid."])("rejects %s", async (host) => {
  await expect(resolveHost(host)).rejects.toThrow("ENOTFOUND");
});
