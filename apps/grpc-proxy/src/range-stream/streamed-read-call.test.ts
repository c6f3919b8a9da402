import {
  create,
  fromBinary,
  type RangeResponse,
  RangeResponseSchema,
  RangeStreamResponseSchema,
  toBinary,
} from "@etcd-edge/proto";
import { describe, expect, it } from "vitest";
import { toMessages } from "./streamed-read-call.ts";

const decode = (message: Uint8Array): RangeResponse => {
  const { rangeResponse } = fromBinary(RangeStreamResponseSchema, message);
  if (rangeResponse === undefined) throw new Error("an empty message");
  return rangeResponse;
};

describe("toMessages", () => {
  it.each([0, 1, 3, 20])("tells an answer of %i keys as a stream: what is merged is the answer", (keys) => {
    const kvs = Array.from({ length: keys }, (_, i) => ({
      key: Buffer.from(`k${i}`),
      value: Buffer.alloc(300_000, i),
    }));
    const whole = create(RangeResponseSchema, { header: { revision: 7n }, kvs, more: true, count: 99n });
    const parts = toMessages(toBinary(RangeResponseSchema, whole)).map(decode);
    expect(parts.flatMap((part) => part.kvs.map(({ key }) => String(Buffer.from(key))))).toEqual(
      kvs.map(({ key }) => String(key)),
    );
    const last = parts.at(-1);
    expect([last?.header?.revision, last?.more, last?.count]).toEqual([7n, true, 99n]);
    for (const part of parts.slice(0, -1))
      expect([part.header, part.more, part.count]).toEqual([undefined, false, 0n]);
    // About a mebibyte each.
    expect(parts).toHaveLength(Math.max(1, Math.ceil(keys / 4)));
  });
});
