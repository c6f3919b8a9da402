import { describe, expect, it } from "vitest";
import { parseRedisUrl } from "./redis-url.ts";

describe("parseRedisUrl", () => {
  const plain = { isCluster: false, isTls: false, username: undefined, password: undefined, db: 0 };
  it.each([
    ["redis://h", { ...plain, nodes: [{ host: "h", port: 6379 }] }],
    ["redis://h:1/3", { ...plain, nodes: [{ host: "h", port: 1 }], db: 3 }],
    ["rediss://:p%40w@h:1", { ...plain, nodes: [{ host: "h", port: 1 }], isTls: true, password: "p@w" }],
    ["redis://u:p@[::1]:7", { ...plain, nodes: [{ host: "::1", port: 7 }], username: "u", password: "p" }],
    [
      "rediss+cluster://u:p@a:1,b",
      {
        nodes: [
          { host: "a", port: 1 },
          { host: "b", port: 6379 },
        ],
        isCluster: true,
        isTls: true,
        username: "u",
        password: "p",
        db: 0,
      },
    ],
  ])("reads %s", (url, address) => {
    expect(parseRedisUrl(url)).toEqual(address);
  });

  it.each([
    ["http://h", /must be redis:/],
    ["h:6379", /must be redis:/],
    ["redis://", /must be redis:/],
    ["redis://a,b", /several hosts are a cluster/],
    ["redis+cluster://a/1", /database 0 only/],
    ["redis://h:0", /no host or host:port/],
    ["redis://h:70000", /no host or host:port/],
    ["redis://:%zz@h", /percent-encoded/],
  ])("refuses %s by name", (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(message);
  });

  it("shows no password", () => {
    expect(() => parseRedisUrl("redis://:secret@h:0")).toThrow(/^(?!.*secret)/);
  });
});
