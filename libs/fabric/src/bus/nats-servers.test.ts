import { expect, it } from "vitest";
import { parseNatsServers } from "./nats-servers.ts";

it.each([
  ["host", ["n1"], { servers: ["n1:4222"], isTls: false }],
  ["hosts and ports", ["nats://n1:1", "n2:2"], { servers: ["n1:1", "n2:2"], isTls: false }],
  ["TLS", ["tls://n1"], { servers: ["n1:4222"], isTls: true }],
  [
    "user and password, escaped",
    ["nats://u:p%40@n1"],
    { servers: ["n1:4222"], isTls: false, user: "u", pass: "p@" },
  ],
  ["token", ["nats://t@n1", "n2"], { servers: ["n1:4222", "n2:4222"], isTls: false, token: "t" }],
  ["IPv6", ["nats://[::1]:1"], { servers: ["[::1]:1"], isTls: false }],
])("reads %s", (_, entries, expected) => {
  expect(parseNatsServers(entries)).toEqual(expected);
});

it.each(["", "http://x", "nats://"])("refuses %j", (entry) => {
  expect(() => parseNatsServers([entry])).toThrow("invalid NATS URL");
});

it("does not repeat a password in its error", () => {
  expect(() => parseNatsServers(["ftp://u:secret@x"])).toThrow('invalid NATS URL "ftp://…@x"');
});
