import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WatchResponseSchema } from "../gen/etcdserverpb/watch_pb.ts";
import { EventSchema, KeyValueSchema } from "../gen/mvccpb/kv_pb.ts";
import { readResponseHeader, readWatchResponse } from "./watch-response.ts";
import { encodeEvents, encodeHeader, encodeWatchHead } from "./write-watch-response.ts";

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = fc.uint8Array({ maxLength: 300 });
const keyValue = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  createRevision: int64,
  modRevision: int64,
  version: fc.bigInt({ min: 0n, max: 2n ** 40n }),
  value: bytes,
  lease: int64,
});
const header = fc.record({ clusterId: uint64, memberId: uint64, revision: int64, raftTerm: uint64 });
const event = fc.record({
  type: fc.constantFrom(0, 1),
  kv: keyValue,
  prevKv: fc.option(keyValue, { nil: undefined }),
});
const response = fc.record({
  header,
  watchId: int64,
  created: fc.boolean(),
  canceled: fc.boolean(),
  compactRevision: int64,
  cancelReason: fc.string(),
  fragment: fc.boolean(),
  events: fc.array(event, { maxLength: 4 }),
});
const encode = (init: unknown) =>
  toBinary(
    WatchResponseSchema,
    create(WatchResponseSchema, init as MessageInitShape<typeof WatchResponseSchema>),
  );
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

describe("readWatchResponse", () => {
  it("reads what the codec wrote", () => {
    fc.assert(
      fc.property(response, (init) => {
        const view = readWatchResponse(encode(init));
        expect(view).toMatchObject({
          header: init.header,
          watchId: init.watchId,
          isCreated: init.created,
          isCanceled: init.canceled,
          compactRevision: init.compactRevision,
          cancelReason: init.cancelReason,
          isFragment: init.fragment,
        });
        expect(view.events).toEqual(
          init.events.map(({ type, kv, prevKv }) => ({
            key: kv.key,
            modRevision: kv.modRevision,
            isDelete: type === 1,
            isCreate: type === 0 && kv.version === 1n,
            plain: toBinary(EventSchema, create(EventSchema, { type, kv })),
            prevKv: prevKv && toBinary(KeyValueSchema, create(KeyValueSchema, prevKv)),
          })),
        );
        expect(readResponseHeader(encode(init))).toEqual(init.header);
      }),
    );
  });

  it("rule 35: keeps fields of events that no schema knows", () => {
    const unknown = Uint8Array.of(0xf8, 0x3f, 0x07);
    const plain = toBinary(
      EventSchema,
      create(EventSchema, { kv: { key: Uint8Array.of(1), modRevision: 5n } }),
    );
    const prevKv = toBinary(KeyValueSchema, create(KeyValueSchema, { key: Uint8Array.of(1) }));
    const whole = concat(plain, Uint8Array.of(0x1a, prevKv.length), prevKv, unknown);
    const { events } = readWatchResponse(concat(Uint8Array.of(0x5a, whole.length), whole));
    expect(events[0]?.plain).toEqual(concat(plain, unknown));
    expect(events[0]?.prevKv).toEqual(prevKv);
  });

  it.each([
    ["ends inside a field", Uint8Array.of(0x5a, 0x09, 0x12)],
    ["has an event without a key", Uint8Array.of(0x5a, 0x02, 0x08, 0x01)],
  ])("refuses a message that %s", (_name, message) => {
    expect(() => readWatchResponse(message)).toThrow(RangeError);
  });
});

describe("encodeWatchHead and encodeEvents", () => {
  it("make what the codec reads, with and without prev_kv", () => {
    fc.assert(
      fc.property(response, fc.boolean(), (init, withPrevKv) => {
        const { events } = readWatchResponse(encode(init));
        const head = encodeWatchHead(encodeHeader(init.header), init.watchId, init.fragment);
        const written = concat(head, encodeEvents(events, withPrevKv));
        const expected = {
          header: init.header,
          watchId: init.watchId,
          fragment: init.fragment,
          events: withPrevKv ? init.events : init.events.map(({ type, kv }) => ({ type, kv })),
        };
        expect(fromBinary(WatchResponseSchema, written)).toEqual(
          create(WatchResponseSchema, expected as MessageInitShape<typeof WatchResponseSchema>),
        );
      }),
    );
  });
});
