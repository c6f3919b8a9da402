import { TxnRequestSchema } from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { decodeInput, profileV1, profileV2 } from "../profile/json-profile.ts";
import { JsonInputError } from "./json-input-error.ts";
import { parseJson } from "./json-node.ts";

function pointerOf(profile: typeof profileV1, json: string): string | undefined {
  try {
    decodeInput(profile, TxnRequestSchema, parseJson(Buffer.from(json)), "base64");
    return undefined;
  } catch (error) {
    return error instanceof JsonInputError ? error.pointer : String(error);
  }
}

describe.each([
  ["v1", profileV1],
  ["v2", profileV2],
])("the place of an error in the input (%s)", (_, profile) => {
  it.each([
    ["[]", "#"],
    ['{"compare":1}', "#/compare"],
    ['{"compare":[{"key":"AA=="},{"key":1}]}', "#/compare/1/key"],
    [
      '{"success":[{"request_txn":{"failure":[{"requestPut":{"lease":"x"}}]}}]}',
      "#/success/0/request_txn/failure/0/requestPut/lease",
    ],
  ])("of %s is %s", (json, pointer) => {
    expect(pointerOf(profile, json)).toBe(pointer);
  });
});
