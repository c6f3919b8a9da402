import { describe, expect, it } from "vitest";
import { RateLimit } from "./rate-limit.ts";

function limited(perSecond: number) {
  let now = 0;
  const limit = new RateLimit({ perSecond, nowMs: () => now });
  return { limit, advance: (ms: number) => (now += ms) };
}

describe("RateLimit", () => {
  it("answers a second's worth, then drops one and asks to come by TCP in turn, and recovers", () => {
    const { limit, advance } = limited(2);
    const verdicts = Array.from({ length: 6 }, () => limit.judge("192.0.2.1"));
    expect(verdicts).toEqual(["answer", "answer", "drop", "come-by-tcp", "drop", "come-by-tcp"]);
    advance(500);
    expect(limit.judge("192.0.2.1")).toBe("answer");
    expect(limit.judge("192.0.2.1")).toBe("drop");
    advance(60_000);
    expect([1, 2, 3].map(() => limit.judge("192.0.2.1"))).toEqual(["answer", "answer", "come-by-tcp"]);
  });

  it.each([
    ["one IPv4 network", "192.0.2.1", "192.0.2.254", true],
    ["two IPv4 networks", "192.0.2.1", "192.0.3.1", false],
    ["an IPv4 network seen through IPv6", "192.0.2.1", "::ffff:192.0.2.9", true],
    ["one IPv6 /56", "2001:db8:0:100::1", "2001:db8:0:1ff:5::1", true],
    ["two IPv6 /56", "2001:db8:0:100::1", "2001:db8:0:200::1", false],
    ["one IPv6 network in two spellings", "2001:db8::1", "2001:db8:0:0:9::1", true],
  ])("counts %s", (_, first, second, isSame) => {
    const { limit } = limited(1);
    limit.judge(first);
    expect(limit.judge(second)).toBe(isSame ? "drop" : "answer");
  });

  it.each(["127.0.0.1", "127.9.9.9", "::1"])("leaves %s alone", (address) => {
    const { limit } = limited(1);
    expect([1, 2, 3].map(() => limit.judge(address))).toEqual(["answer", "answer", "answer"]);
  });

  it("limits nobody at 0", () => {
    const { limit } = limited(0);
    expect([1, 2, 3].map(() => limit.judge("192.0.2.1"))).toEqual(["answer", "answer", "answer"]);
  });

  it("remembers no more networks than it has room for", () => {
    const { limit } = limited(1);
    limit.judge("10.0.0.1");
    expect(limit.judge("10.0.0.1")).toBe("drop");
    for (let n = 0; n < 10_000; n += 1) limit.judge(`${20 + (n >> 8)}.${n & 255}.0.1`);
    expect(limit.judge("10.0.0.1")).toBe("answer");
  });
});
