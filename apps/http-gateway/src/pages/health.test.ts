import { AlarmResponseSchema, AlarmType, create, RangeResponseSchema, toBinary } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { profileV1, profileV2 } from "../profile/json-profile.ts";
import { type Upstream, UpstreamError } from "../upstream/upstream.ts";
import { checkHealth, healthBody } from "./health.ts";
import { versionBody } from "./version.ts";

const range = toBinary(RangeResponseSchema, create(RangeResponseSchema));
const alarms = (...types: AlarmType[]): Uint8Array =>
  toBinary(AlarmResponseSchema, create(AlarmResponseSchema, { alarms: types.map((alarm) => ({ alarm })) }));
const failure = (status: number, message: string): UpstreamError =>
  new UpstreamError({ status, message, origin: "server" });

function upstream(answers: { alarm: Uint8Array | Error; range: Uint8Array | Error }): Upstream {
  return {
    unary: async ({ rpc }) => {
      const answer = rpc.method === "Alarm" ? answers.alarm : answers.range;
      if (answer instanceof Error) throw answer;
      return { message: answer, headers: [] };
    },
    open: async () => {
      throw new Error("health opens no stream");
    },
  };
}

describe("checkHealth", () => {
  const all = { exclude: new Set<string>(), serializable: false };

  it.each([
    ["all is well", { alarm: alarms(), range }, undefined],
    ["there is an alarm", { alarm: alarms(AlarmType.NOSPACE), range }, "ALARM NOSPACE"],
    ["an alarm is newer than the schema", { alarm: alarms(9 as AlarmType), range }, "ALARM UNKNOWN"],
    ["alarms are not for everybody, and reads are", { alarm: failure(3, "x"), range }, undefined],
    [
      "there is no leader",
      { alarm: alarms(), range: failure(14, "etcdserver: no leader") },
      "RAFT NO LEADER",
    ],
    ["nobody answers", { alarm: failure(14, "down"), range: failure(14, "down") }, "RANGE ERROR:down"],
    [
      "a read takes rights",
      { alarm: alarms(), range: failure(3, "etcdserver: user name is empty") },
      undefined,
    ],
    ["a read is denied", { alarm: alarms(), range: failure(7, "etcdserver: permission denied") }, undefined],
  ])("when %s", async (_, answers, reason) => {
    expect(await checkHealth(upstream(answers), all)).toBe(reason);
  });

  it("leaves out the alarms it is told to", async () => {
    const both = upstream({ alarm: alarms(AlarmType.NOSPACE, AlarmType.CORRUPT), range });
    expect(await checkHealth(both, { ...all, exclude: new Set(["NOSPACE"]) })).toBe("ALARM CORRUPT");
    expect(await checkHealth(both, { ...all, exclude: new Set(["NOSPACE", "CORRUPT"]) })).toBeUndefined();
  });

  it("is told in the words of the profile", () => {
    expect(healthBody(profileV1, undefined)).toBe('{"health":"true"}');
    expect(healthBody(profileV1, "x")).toBe('{"health":"false"}\n');
    expect(healthBody(profileV2, undefined)).toBe('{"health":"true","reason":""}');
    expect(healthBody(profileV2, "ALARM NOSPACE")).toBe('{"health":"false","reason":"ALARM NOSPACE"}\n');
  });
});

describe("versionBody", () => {
  const ask = (body: string | undefined, version: string | undefined): Promise<string | undefined> =>
    versionBody({
      questions: {
        get: async () => (body === undefined ? undefined : { status: 200, body }),
        post: async () => undefined,
      },
      askVersion: async () => version,
    });

  it("is etcd's own, else made of what its gRPC side tells, else nothing", async () => {
    const own = '{"etcdserver":"3.6.1","etcdcluster":"3.6.0","storage":"3.6.0"}';
    expect(await ask(own, "3.0.0")).toBe(own);
    expect(await ask("404 page not found", "3.5.30")).toBe('{"etcdserver":"3.5.30","etcdcluster":"3.5.0"}');
    expect(await ask(undefined, undefined)).toBeUndefined();
  });
});
