import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BlockMemo } from "./block-memo.ts";
import { HpackDecoder } from "./decoder.ts";
import { encodeStateless, HpackEncoder, Indexing } from "./encoder.ts";
import { HpackError } from "./hpack-error.ts";

type Pair = readonly [name: string, value: string];

function encodeBlock(encoder: HpackEncoder, pairs: readonly Pair[], indexing: readonly Indexing[]): Buffer {
  const target = Buffer.alloc(100_000);
  let position = encoder.beginBlock(target, 0);
  pairs.forEach(([name, value], i) => {
    position = encoder.encode(
      target,
      position,
      name,
      value,
      indexing[i % indexing.length] ?? Indexing.without,
    );
  });
  return target.subarray(0, position);
}

function decodeBlock(decoder: HpackDecoder, block: Buffer): Pair[] {
  const fields: Pair[] = [];
  decoder.decode(block, 0, block.length, { add: (field) => fields.push([field.name, field.value]) });
  return fields;
}

const names = fc.constantFrom(
  ":path",
  ":authority",
  "token",
  "content-type",
  "x-a",
  "grpc-timeout",
  "user-agent",
);
const values = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const pairs = fc.array(fc.tuple(names, values), { maxLength: 12 });
const indexings = fc.array(fc.constantFrom(Indexing.incremental, Indexing.without, Indexing.never), {
  minLength: 1,
});

describe("HPACK", () => {
  it("decodes what it encoded, block after block, while the peer changes the table size", () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ pairs, indexing: indexings }),
        fc.record({
          limits: fc.array(fc.constantFrom(0, 40, 100, 1000, 4096), { minLength: 1, maxLength: 3 }),
        }),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(steps, (sequence) => {
        const encoder = new HpackEncoder(4096);
        const decoder = new HpackDecoder();
        for (const step of sequence) {
          if ("limits" in step) {
            for (const limit of step.limits) encoder.setPeerLimit(limit);
            decoder.applyLimit(step.limits.at(-1) ?? 4096);
          } else if (step.pairs.length > 0) {
            expect(decodeBlock(decoder, encodeBlock(encoder, step.pairs, step.indexing))).toEqual(step.pairs);
          }
        }
      }),
    );
  });

  it("needs one byte for a field it has indexed", () => {
    const encoder = new HpackEncoder(4096);
    const pair: Pair[] = [["token", "abc.1"]];
    encodeBlock(encoder, pair, [Indexing.incremental]);
    expect(encodeBlock(encoder, pair, [Indexing.incremental])).toEqual(Buffer.of(0xbe));
  });

  it("does not index a field of more than half the table", () => {
    const decoder = new HpackDecoder();
    const pair: Pair[] = [["token", "x".repeat(3000)]];
    expect(decodeBlock(decoder, encodeBlock(new HpackEncoder(4096), pair, [Indexing.incremental]))).toEqual(
      pair,
    );
    expect(decoder.table.length).toBe(0);
  });

  it("rule 41: stateless fields insert nothing and refer to nothing dynamic", () => {
    fc.assert(
      fc.property(pairs, (fields) => {
        const target = Buffer.alloc(10_000);
        let position = 0;
        for (const [name, value] of fields) position = encodeStateless(target, position, name, value);
        const decoder = new HpackDecoder(0);
        expect(decodeBlock(decoder, target.subarray(0, position))).toEqual(fields);
        expect(decoder.table.generation).toBe(0);
      }),
    );
  });

  it("rule 41: a lowered table size is announced at the start of the next block, and once", () => {
    const encoder = new HpackEncoder(4096);
    expect(encoder.isUpdateDue).toBe(false);
    encoder.setPeerLimit(0);
    expect(encoder.isUpdateDue).toBe(true);
    expect(encodeBlock(encoder, [[":status", "200"]], [Indexing.without]).toString("hex")).toBe("2088");
    expect(encodeBlock(encoder, [[":status", "200"]], [Indexing.without]).toString("hex")).toBe("88");
  });

  it("rule 41: a size that went down and up again between two blocks is announced as both", () => {
    const encoder = new HpackEncoder(4096);
    encoder.setPeerLimit(0);
    encoder.setPeerLimit(100);
    expect(encodeBlock(encoder, [[":status", "200"]], [Indexing.without]).toString("hex")).toBe("203f4588");
  });

  it.each([
    { what: "index 0", hex: "80" },
    { what: "an index beyond the tables", hex: "be" },
    { what: "a name index beyond the tables", hex: "7f0001" },
    { what: "an integer that does not end", hex: "ff" },
    { what: "an integer of too many bytes", hex: "ff80808080808000" },
    { what: "an integer that is too large", hex: "ffffffffff7f" },
    { what: "a string that does not begin", hex: "0f10" },
    { what: "a string that does not end", hex: "0f100561" },
    { what: "a size above the limit", hex: "3fe21f" },
    { what: "a size update after a field", hex: "8220" },
  ])("refuses $what", ({ hex }) => {
    expect(() => decodeBlock(new HpackDecoder(), Buffer.from(hex, "hex"))).toThrow(HpackError);
  });

  it("refuses a block that ignores a lowered limit", () => {
    const decoder = new HpackDecoder();
    decoder.applyLimit(100);
    expect(() => decodeBlock(decoder, Buffer.from("82", "hex"))).toThrow(/missing/);
    expect(decodeBlock(decoder, Buffer.from("3f4582", "hex"))).toEqual([[":method", "GET"]]);
  });

  it("throws nothing but HpackError, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeBlock(new HpackDecoder(), Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(HpackError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("BlockMemo", () => {
  const block = Buffer.from("before|block|after");

  it("rule 9: answers only in the generation in which the block was decoded", () => {
    const memo = new BlockMemo<string>();
    memo.set(3, 3, block, 7, 12, "user A");
    expect(memo.get(3, block, 7, 12)).toBe("user A");
    expect(memo.get(4, block, 7, 12)).toBeUndefined();
    expect(memo.get(3, block, 0, 5)).toBeUndefined();
  });

  it("rule 9: does not keep a block that moved the table", () => {
    const memo = new BlockMemo<string>();
    memo.set(3, 4, block, 7, 12, "user A");
    expect(memo.get(3, block, 7, 12)).toBeUndefined();
    expect(memo.get(4, block, 7, 12)).toBeUndefined();
  });

  it("keeps a copy, not the buffer", () => {
    const memo = new BlockMemo<string>();
    const bytes = Buffer.from("abc");
    memo.set(0, 0, bytes, 0, 3, "abc");
    bytes.fill("x");
    expect(memo.get(0, Buffer.from("abc"), 0, 3)).toBe("abc");
    expect(memo.get(0, bytes, 0, 3)).toBeUndefined();
  });
});
