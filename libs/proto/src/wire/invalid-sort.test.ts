import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type RangeRequest_SortOrder,
  type RangeRequest_SortTarget,
  RangeRequestSchema,
  TxnRequestSchema,
} from "../gen/etcdserverpb/kv_pb.ts";
import { hasInvalidSort } from "./invalid-sort.ts";

/** Numbers that no enum has, as a client may put them on the wire. */
const sort = (
  order: number,
  target: number,
): { sortOrder: RangeRequest_SortOrder; sortTarget: RangeRequest_SortTarget } => ({
  sortOrder: order as RangeRequest_SortOrder,
  sortTarget: target as RangeRequest_SortTarget,
});
const range = (order: number, target: number): Uint8Array =>
  toBinary(
    RangeRequestSchema,
    create(RangeRequestSchema, { key: Uint8Array.of(97), ...sort(order, target) }),
  );

describe("rule 13: a sort that kills an etcd", () => {
  it("is one outside the schema's enums", () => {
    fc.assert(
      fc.property(fc.integer({ min: -5, max: 300 }), fc.integer({ min: -5, max: 300 }), (order, target) => {
        const isInvalid = order < 0 || order > 2 || target < 0 || target > 4;
        expect(hasInvalidSort(range(order, target), "range")).toBe(isInvalid);
      }),
    );
  });

  it("is found inside transactions, in either branch, at any depth", () => {
    const txn = (sortTarget: number, branch: "success" | "failure"): Uint8Array => {
      const request = {
        case: "requestRange",
        value: create(RangeRequestSchema, sort(0, sortTarget)),
      } as const;
      const inner = create(TxnRequestSchema, { [branch]: [{ request }] });
      const outer = create(TxnRequestSchema, {
        failure: [{ request: { case: "requestTxn", value: inner } }],
      });
      return toBinary(TxnRequestSchema, outer);
    };
    for (const branch of ["success", "failure"] as const) {
      expect(hasInvalidSort(txn(99, branch), "txn")).toBe(true);
      expect(hasInvalidSort(txn(4, branch), "txn")).toBe(false);
    }
  });

  it("is what the last value says, padded or not", () => {
    expect(hasInvalidSort(Uint8Array.of(0x30, 99, 0x30, 1), "range")).toBe(false);
    expect(hasInvalidSort(Uint8Array.of(0x30, 1, 0x30, 99), "range")).toBe(true);
    expect(hasInvalidSort(Uint8Array.of(0x30, 0x81, 0x00), "range")).toBe(false);
  });

  it("refuses garbage with RangeErrors only", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (garbage) => {
        try {
          hasInvalidSort(garbage, "txn");
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
