import { type Rpc, rpcOf } from "@etcd-edge/proto";
import { expect, it } from "vitest";
import type { CallStyle } from "../http/call-style.ts";
import { parseJson } from "../json/json-node.ts";
import { profileV1, profileV1Early, profileV2 } from "../profile/json-profile.ts";
import { RequestMemo } from "./request-memo.ts";

const plain: CallStyle = { bytes: "base64", problems: false, heartbeatMs: undefined };
const range = rpcOf("/etcdserverpb.KV/Range");

/** Reads a text, with a memo that is asked how often it had to. */
function reader() {
  const memo = new RequestMemo();
  let made = 0;
  const read = (text: string, more: { rpc?: Rpc; profile?: typeof profileV1; style?: CallStyle } = {}) =>
    memo.read({ rpc: range, profile: profileV2, style: plain, ...more }, parseJson(Buffer.from(text)), () => {
      made++;
      if (text.includes("bad")) throw new Error("bad");
      return { message: { $typeName: "x" }, bytes: Buffer.from(text) };
    });
  return { read, made: () => made };
}

it("gives the same request for the same bytes, whoever reads them in the same way", () => {
  const { read, made } = reader();
  const first = read('{"key":"YQ=="}');
  expect([
    read('{"key":"YQ=="}'),
    read('{"key":"YQ=="}', { style: { ...plain, problems: true } }),
    made(),
  ]).toEqual([first, first, 1]);
});

it.each([
  ["another text", '{"key": "YQ=="}', {}],
  ["another profile", '{"key":"YQ=="}', { profile: profileV1 }],
  ["other bytes of text", '{"key":"YQ=="}', { style: { ...plain, bytes: "utf8" as const } }],
])("reads anew: %s", (_, text, more) => {
  const { read, made } = reader();
  read('{"key":"YQ=="}');
  read('{"key":"YQ=="}', { profile: profileV1Early });
  read(text, more);
  expect(made()).toBe(3);
});

it("keeps no errors, no long texts, and nothing but ranges: others hold passwords", () => {
  const { read, made } = reader();
  for (let i = 0; i < 2; i++) {
    expect(() => read('{"bad":1}')).toThrow("bad");
    read(`{"key":"${"A".repeat(300)}"}`);
    read('{"name":"root","password":"pass"}', { rpc: rpcOf("/etcdserverpb.Auth/Authenticate") });
  }
  expect(made()).toBe(6);
});
