import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import {
  create,
  fromBinary,
  type Message,
  rpcs,
  TxnRequestSchema,
  toBinary,
  WatchCreateRequestSchema,
} from "@etcd-edge/proto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeV1 } from "./decode-v1.ts";
import { decodeV2 } from "./decode-v2.ts";
import { encodeJson } from "./encode.ts";
import { quoteJson, quoteJsonForHtml } from "./go-quote.ts";
import { parseJson } from "./json-node.ts";
import { asBag, planOf, setField } from "./message-plan.ts";
import { transcode } from "./transcode.ts";

function anyValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.fieldKind === "list") return fc.array(anySingle(field, depth), { minLength: 1, maxLength: 2 });
  return anySingle(field, depth);
}

function anySingle(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return anyMessage(field.message, depth - 1);
  if (field.enum !== undefined) return fc.constantFrom(...field.enum.values.map((value) => value.number), 77);
  switch (field.scalar) {
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 20 });
    case ScalarType.STRING:
      return fc.string({ unit: "grapheme", maxLength: 10 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.UINT32:
      return fc.nat(0xffff_ffff);
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    default:
      return fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
  }
}

function anyMessage(desc: DescMessage, depth: number): fc.Arbitrary<Message> {
  const fields = planOf(desc).fields.filter((field) => depth > 0 || field.desc.message === undefined);
  const values = fields.map((field) => fc.option(anyValue(field.desc, depth), { nil: undefined }));
  return fc.tuple(...values).map((chosen) => {
    const message = create(desc);
    for (const [i, field] of fields.entries()) {
      if (chosen[i] !== undefined) setField(asBag(message), field, chosen[i]);
    }
    return message;
  });
}

const plain = { wording: "plain", bytes: "base64" } as const;
const quoted = { wording: "quoted", bytes: "base64" } as const;
const types = new Map(rpcs.flatMap((rpc) => [rpc.input, rpc.output]).map((desc) => [desc.typeName, desc]));

describe("JSON of both profiles", () => {
  it.each([...types.values()].map((desc) => [desc.typeName, desc] as const))("%s survives", (_, desc) => {
    fc.assert(
      fc.property(anyMessage(desc, 3), (message) => {
        const onTheWire = toBinary(desc, message);
        for (const quote of [quoteJson, quoteJsonForHtml]) {
          for (const bytes of ["base64", "utf8"] as const) {
            const text = encodeJson(desc, message, { quote, bytes });
            expect(transcode(desc, onTheWire, { quote, bytes })).toBe(text);
            const document = parseJson(Buffer.from(text));
            expect(toBinary(desc, decodeV1(desc, document, { wording: "plain", bytes }))).toEqual(onTheWire);
            expect(toBinary(desc, decodeV2(desc, document, bytes))).toEqual(onTheWire);
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  it("reads an unset oneof member beside a null and an empty list of enums", () => {
    const json = '{"success":[{"request_put":null,"requestRange":{"key":"Zm9v"}}]}';
    for (const message of [
      decodeV1(TxnRequestSchema, parseJson(Buffer.from(json)), quoted),
      decodeV2(TxnRequestSchema, parseJson(Buffer.from(json)), "base64"),
    ]) {
      const back = fromBinary(TxnRequestSchema, toBinary(TxnRequestSchema, message as never));
      expect(back.success[0]?.request.case).toBe("requestRange");
    }
  });

  it("takes the member declared last of two of one oneof in v1, and refuses both in v2", () => {
    const document = parseJson(
      Buffer.from('{"success":[{"request_put":{"key":"Zg=="},"request_range":{}}]}'),
    );
    const message = decodeV1(TxnRequestSchema, document, quoted);
    const back = fromBinary(TxnRequestSchema, toBinary(TxnRequestSchema, message as never));
    expect(back.success[0]?.request.case).toBe("requestPut");
    expect(() => decodeV2(TxnRequestSchema, document, "base64")).toThrow(
      'proto: (line 1:43): error parsing "request_range", oneof etcdserverpb.RequestOp.request is already set',
    );
  });

  it("words an unknown enum name as the golang/protobuf of the release does", () => {
    const document = parseJson(Buffer.from('{"filters":["BOGUS"]}'));
    expect(() => decodeV1(WatchCreateRequestSchema, document, plain)).toThrow(
      'unknown value "BOGUS" for enum etcdserverpb.WatchCreateRequest_FilterType',
    );
    expect(() => decodeV1(WatchCreateRequestSchema, document, quoted)).toThrow(
      'unknown value "\\"BOGUS\\"" for enum etcdserverpb.WatchCreateRequest.FilterType',
    );
    expect(decodeV2(WatchCreateRequestSchema, document, "base64")).toEqual(create(WatchCreateRequestSchema));
  });

  it("points at line and column in characters, not bytes", () => {
    const document = parseJson(Buffer.from('{\n "ä": 1, "key": 5}'));
    expect(() => decodeV2(WatchCreateRequestSchema, document, "base64")).toThrow(
      "proto: (line 2:17): invalid value for bytes field key: 5",
    );
  });

  it("never fails otherwise than with its own error, whatever JSON it is given", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(...types.values()), (text, desc) => {
        const document = parseJson(Buffer.from(text));
        for (const decode of [
          () => decodeV1(desc, document, plain),
          () => decodeV2(desc, document, "base64"),
        ]) {
          try {
            decode();
          } catch (error) {
            expect(error).toHaveProperty("code", "JSON_INPUT");
          }
        }
      }),
    );
  });
});
