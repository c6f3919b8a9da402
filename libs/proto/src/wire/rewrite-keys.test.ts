import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RangeRequestSchema, RangeResponseSchema, TxnRequestSchema } from "../gen/etcdserverpb/kv_pb.ts";
import { LeaseTimeToLiveResponseSchema } from "../gen/etcdserverpb/lease_pb.ts";
import { WatchRequestSchema } from "../gen/etcdserverpb/watch_pb.ts";
import { toCanonical } from "./canonical.ts";
import { dataKeyRoles } from "./key-roles.ts";
import { type MessagePlan, planMessage } from "./message-plan.ts";
import { type KeyRewriting, rewriteKeys } from "./rewrite-keys.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => Buffer.concat([a, b]);
const scope: KeyRewriting = {
  key: (value) => concat(bytes("ns/"), value),
  rangeEnd: (value) => concat(bytes("ns/"), value),
  keyOfList: (value) => (value[0] === 0x61 ? value : undefined),
};
function planOf(schema: Parameters<typeof planMessage>[0]): MessagePlan {
  const plan = planMessage(schema, dataKeyRoles);
  if (plan === undefined) throw new Error("no keys inside");
  return plan;
}
const rangePlan = planOf(RangeRequestSchema);
const txnPlan = planOf(TxnRequestSchema);

/** A request as clients send it, with a field that no schema knows. */
const withUnknown = (message: Uint8Array): Uint8Array => concat(message, Uint8Array.from([0xf8, 0x3f, 0x07]));

describe("rewriteKeys", () => {
  it("changes keys and leaves every other byte alone, unknown fields too", () => {
    const request = withUnknown(
      toBinary(
        RangeRequestSchema,
        create(RangeRequestSchema, { key: bytes("a"), rangeEnd: bytes("b"), limit: 7n }),
      ),
    );
    const seen = fromBinary(RangeRequestSchema, rewriteKeys(request, rangePlan, scope));
    expect(seen).toMatchObject({ key: bytes("ns/a"), rangeEnd: bytes("ns/b"), limit: 7n });
    expect(seen.$unknown).toHaveLength(1);
  });

  it("reaches into compares and nested transactions", () => {
    const inner: MessageInitShape<typeof TxnRequestSchema> = {
      compare: [{ key: bytes("c"), rangeEnd: bytes("d") }],
      success: [{ request: { case: "requestPut", value: { key: bytes("p"), value: bytes("p") } } }],
      failure: [{ request: { case: "requestDeleteRange", value: { key: bytes("d") } } }],
    };
    const outer = create(TxnRequestSchema, {
      success: [{ request: { case: "requestTxn", value: create(TxnRequestSchema, inner) } }],
    });
    const seen = fromBinary(TxnRequestSchema, rewriteKeys(toBinary(TxnRequestSchema, outer), txnPlan, scope));
    expect(seen.success[0]?.request.value).toMatchObject({
      compare: [{ key: bytes("ns/c"), rangeEnd: bytes("ns/d") }],
      success: [{ request: { value: { key: bytes("ns/p"), value: bytes("p") } } }],
      failure: [{ request: { value: { key: bytes("ns/d") } } }],
    });
  });

  it("puts in the start of a watch on everything, and no key where etcd must refuse", () => {
    const watchPlan = planOf(WatchRequestSchema);
    const watch = create(WatchRequestSchema, {
      requestUnion: { case: "createRequest", value: { rangeEnd: Uint8Array.of(0) } },
    });
    const seen = fromBinary(
      WatchRequestSchema,
      rewriteKeys(toBinary(WatchRequestSchema, watch), watchPlan, scope),
    );
    expect(seen.requestUnion.value).toMatchObject({ key: bytes("ns/\0") });
    expect(rewriteKeys(new Uint8Array(0), rangePlan, scope)).toHaveLength(0);
  });

  it("leaves keys out of a list, and an emptied key off the wire", () => {
    const plan = planOf(LeaseTimeToLiveResponseSchema);
    const answer = create(LeaseTimeToLiveResponseSchema, {
      ID: 1n,
      keys: [bytes("a1"), bytes("b1"), bytes("a2")],
    });
    const seen = rewriteKeys(toBinary(LeaseTimeToLiveResponseSchema, answer), plan, scope);
    expect(fromBinary(LeaseTimeToLiveResponseSchema, seen).keys).toEqual([bytes("a1"), bytes("a2")]);

    const strip: KeyRewriting = { ...scope, key: (value) => value.subarray(3) };
    const kvs = create(RangeResponseSchema, { kvs: [{ key: bytes("ns/"), version: 1n }] });
    const stripped = rewriteKeys(toBinary(RangeResponseSchema, kvs), planOf(RangeResponseSchema), strip);
    const expected = create(RangeResponseSchema, { kvs: [{ version: 1n }] });
    expect(stripped).toEqual(toBinary(RangeResponseSchema, expected));
  });

  it("agrees with the codec on every range request", () => {
    const message = fc.record({
      key: fc.uint8Array({ minLength: 1, maxLength: 200 }),
      rangeEnd: fc.uint8Array({ maxLength: 200 }),
      limit: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
      revision: fc.bigInt({ min: 0n, max: 1n << 40n }),
      serializable: fc.boolean(),
    });
    fc.assert(
      fc.property(message, (init) => {
        const plain = toBinary(RangeRequestSchema, create(RangeRequestSchema, init));
        const rangeEnd = init.rangeEnd.length === 0 ? init.rangeEnd : scope.rangeEnd(init.rangeEnd);
        const expected = create(RangeRequestSchema, { ...init, key: scope.key(init.key), rangeEnd });
        expect(rewriteKeys(plain, rangePlan, scope)).toEqual(toBinary(RangeRequestSchema, expected));
      }),
    );
  });
});

describe("rule 7: duplicated fields cannot escape a rewriting", () => {
  const key = (text: string): Uint8Array =>
    toBinary(RangeRequestSchema, create(RangeRequestSchema, { key: bytes(text) }));

  it("decides by the value that etcd takes, the last one", () => {
    const twice = toCanonical(concat(key("ns/a"), key("secret")), rangePlan);
    expect(fromBinary(RangeRequestSchema, rewriteKeys(twice, rangePlan, scope)).key).toEqual(
      bytes("ns/secret"),
    );
    expect(twice).toEqual(key("secret"));
  });

  it("finds a oneof that is set twice, at any depth", () => {
    const op = (text: string): Uint8Array =>
      Buffer.concat([Uint8Array.of(0x0a, key(text).length), key(text)]);
    const both = concat(op("a"), op("secret"));
    const txn = Buffer.concat([Uint8Array.of(0x12, both.length), both]);
    const seen = fromBinary(TxnRequestSchema, toCanonical(txn, txnPlan));
    expect(seen.success[0]?.request.value).toMatchObject({ key: bytes("secret") });
    expect(toCanonical(txn, txnPlan)).not.toEqual(txn);
  });

  it("hands canonical bytes on as they are, without a copy", () => {
    const plain = withUnknown(key("a"));
    expect(toCanonical(plain, rangePlan)).toBe(plain);
  });

  it("keeps unknown fields of what it encodes again", () => {
    const twice = withUnknown(concat(key("a"), key("b")));
    expect(fromBinary(RangeRequestSchema, toCanonical(twice, rangePlan)).$unknown).toHaveLength(1);
  });

  it("throws only RangeErrors and decode errors on garbage, and never loops", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (garbage) => {
        try {
          const seen = toCanonical(garbage, txnPlan);
          rewriteKeys(seen, txnPlan, scope);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
