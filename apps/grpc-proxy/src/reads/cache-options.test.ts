import { describe, expect, it } from "vitest";
import { options } from "../options.ts";
import { type CacheConfig, cacheOptions, checkStore, toCacheLimits } from "./cache-options.ts";

const defaults = Object.fromEntries(
  Object.entries({ ...cacheOptions, authRecheck: options.authRecheck }).map(([name, { default: value }]) => [
    name,
    value,
  ]),
) as unknown as CacheConfig & { authRecheck: number };

describe("toCacheLimits", () => {
  it.each([
    ["cacheFeeds", "feeds"],
    ["cacheFeedBytesPerSecond", "feedBytesPerSecond"],
    ["cacheHeldBytes", "heldBytes"],
    ["cacheBytes", "answerBytes"],
    ["cacheMaxAge", "maxAgeMs"],
    ["authRecheck", "recheckMs"],
    ["cacheCoverWait", "coverMs"],
    ["redisTtl", "storeTtlMs"],
  ] as const)("%s is the bound %s", (flag, limit) => {
    expect(toCacheLimits({ ...defaults, [flag]: 12_345 })[limit]).toBe(12_345);
    expect(toCacheLimits(defaults)[limit]).toBe(defaults[flag]);
  });
});

describe("checkStore", () => {
  const config = { ...defaults, user: "", userCert: "", fabricKeyFile: "" };
  it.each([
    ["no Redis", { redisUrl: "", user: "root" }],
    ["no users", { redisUrl: "redis://h" }],
    ["a password", { redisUrl: "redis://:pw@h", user: "root" }],
    ["a seal", { redisUrl: "redis://h", user: "root", fabricKeyFile: "key" }],
    ["a certificate", { redisUrl: "rediss://h", user: "root", redisCert: "c", redisKey: "k" }],
  ])("takes %s", (_, changed) => {
    expect(() => checkStore({ ...config, ...changed })).not.toThrow();
  });

  it("rule 37: refuses a Redis that anybody can write to where there are users", () => {
    expect(() => checkStore({ ...config, redisUrl: "redis://h", user: "root" })).toThrow("--fabric-key-file");
    expect(() => checkStore({ ...config, redisUrl: "redis://h", userCert: "c" })).toThrow("--user-cert");
    expect(() => checkStore({ ...config, redisUrl: "redis://h", redisKey: "k" })).toThrow("given together");
  });

  it.each([
    ["redisUrl", "nonsense", /invalid Redis URL/],
    ["cacheMaxAge", -1, /must not be negative/],
    ["cacheCoverWait", 0, /must be positive/],
    ["redisTimeout", 0, /must be positive/],
    ["redisTtl", 0, /must be positive/],
  ] as const)("%s %s is refused by name", (flag, value, message) => {
    const { check } = cacheOptions[flag] as { check?: (value: unknown) => string | undefined };
    expect(check?.(value)).toMatch(message);
    expect(check?.(cacheOptions[flag].default)).toBeUndefined();
  });
});
