import { type Clock, silentLogger } from "@etcd-edge/runtime";
import { describe, expect, it } from "vitest";
import { type DoorAnswer, detectProfile } from "./detect-profile.ts";
import { type JsonProfile, profileV1, profileV1Early, profileV2 } from "./json-profile.ts";
import { DetectedProfile } from "./profile-source.ts";
import { profileOfVersion } from "./version-profile.ts";

describe("detectProfile", () => {
  const ask = (
    range: DoorAnswer | undefined,
    transferStatus: number,
    version?: string,
  ): Promise<JsonProfile | undefined> =>
    detectProfile({
      askDoor: async (path) => (path === "/v3/kv/range" ? range : { status: transferStatus, body: "" }),
      askVersion: async () => version,
    });
  const door = (body: string): DoorAnswer => ({ status: 400, body });

  it.each([
    [
      "Debian's 3.4.23",
      door('{"error":"e","message":"e","code":3}'),
      412,
      { ...profileV1Early, failedPreconditionStatus: 412 },
    ],
    ["3.4.22", door('{"error":"e","message":"e","code":3}'), 400, profileV1Early],
    ["3.5", door('{"error":"e","code":3,"message":"e"}'), 400, profileV1],
    ["3.6", door('{"code":3,"message":"e"}'), 400, profileV2],
    ["3.6 with spaces", door('{"code":3, "message":"e"}'), 400, profileV2],
  ] as const)("knows %s by its door", async (_, range, transfer, expected) => {
    expect(await ask(range, transfer, "3.0.0")).toEqual(expected);
  });

  it.each([
    ["no door", undefined, "3.6.1", profileV2],
    ["a door that hangs up (3.4.23 as released)", undefined, "3.4.23", profileV1Early],
    ["a 404 that is no JSON", { status: 404, body: "404 page not found\n" }, "3.5.2", profileV1],
    ["JSON of somebody else", { status: 404, body: '{"detail":"x"}' }, "3.7.0", profileV2],
    ["neither", undefined, undefined, undefined],
  ] as const)("with %s goes by the version", async (_, range, version, expected) => {
    expect(await ask(range, 400, version)).toEqual(expected);
  });

  it.each([
    ["3.3.27", profileV1Early],
    ["3.4.23", profileV1Early],
    ["3.4.24", profileV1],
    ["3.5.0", profileV1],
    ["3.6.0-rc.1", profileV2],
    ["4.0.0", profileV2],
    ["unknown", undefined],
  ])("version %s", (version, profile) => {
    expect(profileOfVersion(version)).toBe(profile);
  });
});

describe("DetectedProfile", () => {
  function setUp(answers: (JsonProfile | undefined | Error)[]): {
    source: DetectedProfile;
    clock: { now: number };
    asked: () => number;
  } {
    const time = { now: 0 };
    let asked = 0;
    const clock: Clock = { nowMs: () => time.now, setTimer: () => ({ stop: () => {} }) };
    const source = new DetectedProfile({
      detect: async () => {
        const answer = answers[Math.min(asked++, answers.length - 1)];
        if (answer instanceof Error) throw answer;
        return answer;
      },
      clock,
      logger: silentLogger,
    });
    return { source, clock: time, asked: () => asked };
  }

  it("asks once for many requests and then remembers", async () => {
    const { source, asked } = setUp([profileV2]);
    const all = await Promise.all(Array.from({ length: 20 }, () => source.current()));
    expect(all).toEqual(Array.from({ length: 20 }, () => profileV2));
    await source.current();
    expect(asked()).toBe(1);
  });

  it("speaks v1 while nobody answers, and asks again after a second", async () => {
    const { source, clock, asked } = setUp([undefined, new Error("down"), profileV2]);
    expect(await source.current()).toBe(profileV1);
    expect(await source.current()).toBe(profileV1);
    expect(asked()).toBe(1);
    clock.now = 1_000;
    expect(await source.current()).toBe(profileV1);
    clock.now = 2_000;
    expect(await source.current()).toBe(profileV2);
    expect(asked()).toBe(3);
  });

  it("follows an upgrade of etcd without making a request wait", async () => {
    const { source, clock, asked } = setUp([profileV1, profileV2]);
    expect(await source.current()).toBe(profileV1);
    clock.now = 60_000;
    expect(await source.current()).toBe(profileV1);
    expect(asked()).toBe(2);
    expect(await source.current()).toBe(profileV2);
  });
});
