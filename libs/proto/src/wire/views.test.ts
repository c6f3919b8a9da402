import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemberListRequestSchema } from "../gen/etcdserverpb/cluster_pb.ts";
import {
  RangeRequestSchema,
  RangeResponseSchema,
  RangeStreamResponseSchema,
  TxnRequestSchema,
} from "../gen/etcdserverpb/kv_pb.ts";
import { readHeaderRevision, readStreamedRevision } from "./header-revision.ts";
import { hasUnknownFields } from "./unknown-fields.ts";

const unknown = Uint8Array.of(0xf8, 0x3f, 0x01); // field 1023
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("rule 35: fields that the schema does not know", () => {
  it("are found in a message, and in one deep inside it", () => {
    const range = toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: bytes("a"), limit: 5n }));
    expect(hasUnknownFields(range, RangeRequestSchema)).toBe(false);
    expect(hasUnknownFields(Buffer.concat([range, unknown]), RangeRequestSchema)).toBe(true);
    const inner = Buffer.concat([range, unknown]);
    const op = Buffer.concat([Uint8Array.of(0x0a, inner.length), inner]);
    const txn = Buffer.concat([Uint8Array.of(0x12, op.length), op]);
    expect(hasUnknownFields(txn, TxnRequestSchema)).toBe(true);
    expect(hasUnknownFields(new Uint8Array(0), MemberListRequestSchema)).toBe(false);
  });

  it("are none in whatever the schema itself writes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.bigInt({ min: 0n, max: 1n << 40n }), (key, limit) => {
        const value = create(RangeRequestSchema, { key, limit });
        const success = [{ request: { case: "requestRange" as const, value } }];
        const txn = toBinary(TxnRequestSchema, create(TxnRequestSchema, { success }));
        expect(hasUnknownFields(txn, TxnRequestSchema)).toBe(false);
      }),
    );
  });
});

describe("readHeaderRevision", () => {
  it("reads what the codec wrote", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
        fc.uint8Array(),
        (revision, key) => {
          const message = create(RangeResponseSchema, {
            header: { revision, clusterId: 7n },
            kvs: [{ key }],
          });
          expect(readHeaderRevision(toBinary(RangeResponseSchema, message))).toBe(revision);
          const streamed = create(RangeStreamResponseSchema, { rangeResponse: message });
          expect(readStreamedRevision(toBinary(RangeStreamResponseSchema, streamed))).toBe(revision);
        },
      ),
    );
  });

  it("is 0 where there is no header", () => {
    expect(readHeaderRevision(new Uint8Array(0))).toBe(0n);
  });
});
