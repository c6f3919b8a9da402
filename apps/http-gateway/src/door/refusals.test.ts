import {
  AlarmRequestSchema,
  create,
  type Message,
  RangeRequestSchema,
  TxnRequestSchema,
} from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { profileV1, profileV2 } from "../profile/json-profile.ts";
import { refuse } from "./refusals.ts";

const badTarget = create(RangeRequestSchema, { sortTarget: 99 as never });
const badOrder = create(RangeRequestSchema, { sortOrder: 3 as never });
const inTxn = (range: typeof badTarget): Message =>
  create(TxnRequestSchema, {
    failure: [
      {
        request: {
          case: "requestTxn",
          value: { success: [{ request: { case: "requestRange", value: range } }] },
        },
      },
    ],
  });

describe("rule 13", () => {
  it.each([
    ["a sort target outside the schema", badTarget],
    ["a sort order outside the schema", badOrder],
    ["either, deep inside a transaction", inTxn(badTarget)],
  ])("refuses %s as newer releases of etcd do", (_, message) => {
    const expected = { status: 3, message: "etcdserver: invalid sort option", origin: "local" };
    expect(refuse(profileV1, message)).toEqual(expected);
    expect(refuse(profileV2, message)).toEqual(expected);
  });

  it("lets every sort of the schema through", () => {
    for (let sortTarget = 0; sortTarget <= 4; sortTarget++) {
      const range = create(RangeRequestSchema, { sortTarget: sortTarget as never, sortOrder: 2 });
      expect(refuse(profileV1, range)).toBeUndefined();
      expect(refuse(profileV1, inTxn(range))).toBeUndefined();
    }
  });
});

describe("the alarm NONE", () => {
  it("is not raised where it would kill etcd 3.4, and everything else is let through", () => {
    const raise = create(AlarmRequestSchema, { action: 1 });
    expect(refuse(profileV1, raise)?.status).toBe(3);
    expect(refuse(profileV2, raise)).toBeUndefined();
    expect(refuse(profileV1, create(AlarmRequestSchema, { action: 1, alarm: 1 }))).toBeUndefined();
    expect(refuse(profileV1, create(AlarmRequestSchema))).toBeUndefined();
  });
});
