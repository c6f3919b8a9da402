import { create, KeyValueSchema, PutRequestSchema } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { decodeInput, frameStyles, profileV1, profileV2 } from "../profile/json-profile.ts";
import { encodeJson } from "./encode.ts";
import { JsonInputError } from "./json-input-error.ts";
import { parseJson } from "./json-node.ts";

const profiles = [
  ["v1", profileV1],
  ["v2", profileV2],
] as const;
const read = (profile: typeof profileV1, json: string | Buffer) =>
  decodeInput(profile, PutRequestSchema, parseJson(Buffer.from(json)), "utf8");

describe.each(profiles)("bytes as text (%s)", (_, profile) => {
  it("reads strings as UTF-8, and what is no text as base64", () => {
    const put = read(profile, '{"key":"käse\\u0000","value":{"base64":"/wA="}}');
    expect(put).toMatchObject({ key: Buffer.from("käse\0"), value: Buffer.from([0xff, 0]) });
  });

  it.each([
    ['{"key":1}', "#/key"],
    ['{"key":["a"]}', "#/key"],
    ['{"key":{}}', "#/key"],
    ['{"key":{"base64":"/w==","more":1}}', "#/key"],
    ['{"key":{"base64":"!"}}', "#/key/base64"],
    [
      Buffer.from([...Buffer.from('{"key":"'), 0xff, ...Buffer.from('"}')]),
      profile === profileV2 ? "#" : "#/key",
    ],
  ])("refuses %s and says where", (json, pointer) => {
    const error = (() => {
      try {
        return read(profile, json);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(JsonInputError);
    expect((error as JsonInputError).pointer).toBe(pointer);
  });

  it("writes text as it is, and what is none as base64", () => {
    const kv = create(KeyValueSchema, { key: Buffer.from('"ä"\u2028'), value: Uint8Array.of(0xc0) });
    expect(encodeJson(KeyValueSchema, kv, frameStyles.utf8)).toBe(
      '{"key":"\\"ä\\"\\u2028","value":{"base64":"wA=="}}',
    );
  });
});
