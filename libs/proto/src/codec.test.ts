import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ResponseHeaderSchema } from "./gen/etcdserverpb/header_pb.ts";
import { PutRequestSchema, RangeRequestSchema } from "./gen/etcdserverpb/kv_pb.ts";
import { WatchResponseSchema } from "./gen/etcdserverpb/watch_pb.ts";
import { rpcs } from "./rpcs.ts";

const roundTrips = 25;

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 40 });
    case ScalarType.STRING:
      return fc.string({ unit: "grapheme", maxLength: 20 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case ScalarType.UINT32:
      return fc.nat(0xffffffff);
    default:
      throw new Error(`etcd's schema has no field of scalar type ${ScalarType[type]}`);
  }
}

/** Any message of the type, sub-messages to a depth of three (a Txn may hold Txns). */
function anyMessage(desc: DescMessage, depth = 3): fc.Arbitrary<Message> {
  const choices = desc.fields.map((field) => fc.option(anyField(field, depth), { nil: undefined }));
  return fc.tuple(...choices).map((values) => {
    const message = reflect(desc, create(desc));
    for (const [i, field] of desc.fields.entries()) {
      const value = values[i];
      if (value === undefined) continue;
      if (Array.isArray(value) && field.fieldKind === "list")
        for (const item of value) message.get(field).add(item);
      else message.set(field, value);
    }
    return message.message;
  });
}

function anyField(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const sub = (desc: DescMessage): fc.Arbitrary<unknown> =>
    depth === 0
      ? fc.constant(undefined)
      : anyMessage(desc, depth - 1).map((message) => reflect(desc, message));
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return fc.constantFrom(...field.enum.values.map((value) => value.number));
    case "message":
      return sub(field.message);
    case "list": {
      if (field.listKind === "message") {
        return depth === 0 ? fc.constant([]) : fc.array(sub(field.message), { maxLength: 2 });
      }
      if (field.listKind === "enum") {
        return fc.array(fc.constantFrom(...field.enum.values.map((value) => value.number)), { maxLength: 3 });
      }
      return fc.array(scalar(field.scalar), { maxLength: 3 });
    }
    case "map":
      throw new Error("etcd has no map field");
  }
}

describe("codecs", () => {
  const types = new Map(rpcs.flatMap((rpc) => [rpc.input, rpc.output]).map((desc) => [desc.typeName, desc]));

  it.each([...types.values()].map((desc) => [desc.typeName, desc] as const))(
    "%s survives the wire",
    (_, desc) => {
      fc.assert(
        fc.property(anyMessage(desc), (message) => {
          expect(fromBinary(desc, toBinary(desc, message))).toEqual(message);
        }),
        { numRuns: roundTrips },
      );
    },
  );

  it("keeps all 64 bits of ids and revisions", () => {
    const header = create(ResponseHeaderSchema, { clusterId: 2n ** 64n - 1n, revision: -(2n ** 63n) });
    const back = fromBinary(ResponseHeaderSchema, toBinary(ResponseHeaderSchema, header));
    expect(back.clusterId).toBe(18446744073709551615n);
    expect(back.revision).toBe(-9223372036854775808n);
  });

  it("passes fields of a newer etcd through untouched", () => {
    const unknown = fc.record({
      no: fc.integer({ min: 1000, max: 20_000 }),
      data: fc.uint8Array({ maxLength: 50 }),
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), fc.array(unknown, { maxLength: 4 }), (key, fields) => {
        const writer = new BinaryWriter().raw(
          toBinary(RangeRequestSchema, create(RangeRequestSchema, { key, limit: 7n })),
        );
        for (const { no, data } of fields) writer.tag(no, WireType.LengthDelimited).bytes(data);
        const bytes = writer.finish();
        expect(toBinary(RangeRequestSchema, fromBinary(RangeRequestSchema, bytes))).toEqual(bytes);
      }),
    );
  });

  it("passes unknown fields inside a nested event through", () => {
    const event = new BinaryWriter().uint32(8).int32(1).tag(99, WireType.Varint).uint64(5n).finish();
    const bytes = new BinaryWriter().tag(11, WireType.LengthDelimited).bytes(event).finish();
    const again = toBinary(WatchResponseSchema, fromBinary(WatchResponseSchema, bytes));
    expect(again).toEqual(bytes);
  });

  it("takes the last of a repeated singular field, as etcd does", () => {
    const writer = new BinaryWriter();
    writer.tag(1, WireType.LengthDelimited).bytes(Uint8Array.of(1));
    writer.tag(1, WireType.LengthDelimited).bytes(Uint8Array.of(2));
    expect(fromBinary(PutRequestSchema, writer.finish()).key).toEqual(Uint8Array.of(2));
  });

  it("throws on every cut of a message that ends inside a field", () => {
    const bytes = toBinary(PutRequestSchema, create(PutRequestSchema, { value: new Uint8Array(300) }));
    for (let length = 1; length < bytes.length; length++) {
      expect(() => fromBinary(PutRequestSchema, bytes.subarray(0, length))).toThrow();
    }
    expect(new BinaryReader(bytes).tag()).toEqual([2, WireType.LengthDelimited]);
  });
});
