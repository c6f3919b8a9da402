import {
  create,
  fromBinary,
  RangeResponseSchema,
  ResponseHeaderSchema,
  TxnResponseSchema,
  toBinary,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frameStyles } from "../profile/json-profile.ts";
import { encodeJson } from "./encode.ts";
import { transcode } from "./transcode.ts";

const style = frameStyles.base64;

describe("transcode", () => {
  it.each([
    ["nothing", [], "{}"],
    ["a default that is written out", [0x18, 0], "{}"],
    ["the last of two", [0x20, 1, 0x20, 2], '{"count":"2"}'],
    ["a field that nobody knows", [0xa0, 0x06, 5, 0x20, 1], '{"count":"1"}'],
    ["a number below zero", [0x20, ...Array.from({ length: 9 }, () => 0xff), 1], '{"count":"-1"}'],
    [
      "a header in two parts",
      [0x0a, 2, 0x18, 1, 0x0a, 2, 0x20, 2],
      '{"header":{"revision":"1","raft_term":"2"}}',
    ],
  ])("reads %s", (_, bytes, text) => {
    expect(transcode(RangeResponseSchema, Uint8Array.from(bytes), style)).toBe(text);
  });

  it("keeps the member of a oneof that comes last, with its default", () => {
    const put = toBinary(
      TxnResponseSchema,
      create(TxnResponseSchema, { responses: [{ response: { case: "responsePut", value: {} } }] }),
    );
    const both = Uint8Array.from([0x1a, 6, 0x0a, 2, 0x20, 1, 0x12, 0]);
    expect(transcode(TxnResponseSchema, put, style)).toBe('{"responses":[{"response_put":{}}]}');
    expect(transcode(TxnResponseSchema, both, style)).toBe('{"responses":[{"response_put":{}}]}');
  });

  it("does not mix up ids that it has seen", () => {
    const ids = [(1n << 63n) + 1n, (1n << 63n) + 2n, 1n << 53n, (1n << 64n) - 1n, (1n << 53n) - 1n];
    for (const clusterId of [...ids, ...ids]) {
      const bytes = toBinary(ResponseHeaderSchema, create(ResponseHeaderSchema, { clusterId }));
      expect(transcode(ResponseHeaderSchema, bytes, style)).toBe(`{"cluster_id":"${clusterId}"}`);
    }
  });

  it("makes of any bytes what the codec makes of them, or refuses them as well", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        let expected: string | undefined;
        try {
          expected = encodeJson(WatchResponseSchema, fromBinary(WatchResponseSchema, bytes), style);
        } catch {
          return; // the codec is stricter in places (groups, wrong wire types): those are refused or passed over
        }
        let text: string | undefined;
        try {
          text = transcode(WatchResponseSchema, bytes, style);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        expect(text).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });
});
