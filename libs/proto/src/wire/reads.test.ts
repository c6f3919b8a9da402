import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type RangeRequest_SortOrder,
  type RangeRequest_SortTarget,
  RangeRequestSchema,
  RangeResponseSchema,
  TxnRequestSchema,
  TxnResponseSchema,
} from "../gen/etcdserverpb/kv_pb.ts";
import { readRangeShape } from "./range-shape.ts";
import { decodeReadTxn, encodeReadTxn } from "./read-txn.ts";

const int64 = fc.bigInt({ min: 0n, max: (1n << 53n) - 1n });
const blob = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });

const range = fc.record({
  key: blob(200),
  rangeEnd: blob(4),
  limit: int64,
  revision: int64,
  sortOrder: fc.constantFrom(0, 1, 2) as fc.Arbitrary<RangeRequest_SortOrder>,
  sortTarget: fc.constantFrom(0, 1, 2, 3, 4) as fc.Arbitrary<RangeRequest_SortTarget>,
  serializable: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  minModRevision: int64,
  maxCreateRevision: int64,
});

describe("readRangeShape", () => {
  it("says what the codec says", () => {
    fc.assert(
      fc.property(range, (fields) => {
        const bytes = toBinary(RangeRequestSchema, create(RangeRequestSchema, fields));
        expect(readRangeShape(bytes)).toEqual({
          isKnown: true,
          isSerializable: fields.serializable,
          isPoint: fields.rangeEnd.length === 0,
          limit: Number(fields.limit),
          isOfNow: fields.revision === 0n,
        });
      }),
    );
  });

  it.each([
    ["a field that the schema lacks", [0xf8, 0x3f, 1]],
    ["a field of another type", [0x18 + 2, 1, 0]],
    ["a sort order past the enum", [0x28, 3]],
    ["a negative sort target", [0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]],
  ])("does not know a request with %s", (_, more) => {
    expect(readRangeShape(Uint8Array.of(0x0a, 1, 0x61, ...more)).isKnown).toBe(false);
  });

  it("takes the last of two, as decoders do", () => {
    expect(readRangeShape(Uint8Array.of(0x38, 1, 0x38, 0, 0x12, 1, 0, 0x12, 0))).toMatchObject({
      isSerializable: false,
      isPoint: true,
    });
  });
});

describe("reads in a Txn", () => {
  it("are what the codec makes of them", () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 5 }), (many) => {
        const values = many.map((fields) => create(RangeRequestSchema, fields));
        const request = fromBinary(
          TxnRequestSchema,
          encodeReadTxn(values.map((one) => toBinary(RangeRequestSchema, one))),
        );
        const success = values.map((value) => ({ request: { case: "requestRange" as const, value } }));
        expect(request).toEqual(create(TxnRequestSchema, { success }));
      }),
    );
  });

  it("are answered as single reads are, with the header of the whole", () => {
    const header = { clusterId: 1n << 63n, memberId: 77n, revision: 12_345n, raftTerm: 3n };
    const answers = [
      { kvs: [{ key: Uint8Array.of(1), value: new Uint8Array(300), modRevision: 9n }], count: 1n },
      {},
      { count: 5n, more: true },
    ];
    const response = toBinary(
      TxnResponseSchema,
      create(TxnResponseSchema, {
        header,
        succeeded: true,
        responses: answers.map((one) => ({
          response: { case: "responseRange" as const, value: { ...one, header: { revision: 12_345n } } },
        })),
      }),
    );
    const { header: head, rests } = decodeReadTxn(response, answers.length);
    for (const [index, one] of answers.entries()) {
      expect(Buffer.concat([head, rests[index] ?? new Uint8Array(1)])).toEqual(
        Buffer.from(toBinary(RangeResponseSchema, create(RangeResponseSchema, { ...one, header }))),
      );
    }
    expect(() => decodeReadTxn(response, 2)).toThrow("a Txn of 2 reads was answered with 3 answers");
  });

  it("are not mistaken for something else", () => {
    const put = create(TxnResponseSchema, {
      responses: [{ response: { case: "responsePut" as const, value: {} } }],
    });
    expect(() => decodeReadTxn(toBinary(TxnResponseSchema, put), 1)).toThrow("something else");
  });
});
