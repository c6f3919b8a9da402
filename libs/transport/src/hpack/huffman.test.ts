import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HpackError } from "./hpack-error.ts";
import { huffmanDecode, huffmanEncode, huffmanLength } from "./huffman.ts";
import { EOS, huffmanCode } from "./huffman-code.ts";

const latin1 = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1"));

function encode(text: string): Buffer {
  const target = Buffer.alloc(text.length * 4 + 4);
  return target.subarray(0, huffmanEncode(text, target, 0));
}

function decode(bytes: Uint8Array): string {
  const target = Buffer.alloc(bytes.length * 2 + 8);
  return target.toString("latin1", 0, huffmanDecode(bytes, 0, bytes.length, target));
}

/** Writes codes bit by bit and pads with `padding` up to a whole byte. */
function fromBits(bits: string, padding: "0" | "1"): Buffer {
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, padding);
  return Buffer.from(whole.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

function bitsOf(symbol: number): string {
  const length = huffmanCode.lengths[symbol] ?? 0;
  return (huffmanCode.bits[symbol] ?? 0).toString(2).padStart(length, "0");
}

describe("Huffman code", () => {
  it("is complete: the codes fill the tree exactly", () => {
    const sum = huffmanCode.lengths.reduce((total, length) => total + 2 ** (30 - length), 0);
    expect(sum).toBe(2 ** 30);
    expect(bitsOf(EOS)).toBe("1".repeat(30));
  });

  it("decodes what it encoded, in the length it foretold", () => {
    fc.assert(
      fc.property(latin1, (text) => {
        const bytes = encode(text);
        expect(bytes.length).toBe(huffmanLength(text));
        expect(decode(bytes)).toBe(text);
      }),
    );
  });

  it("never makes more than 8/5 of its input", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const target = Buffer.alloc(Math.ceil((bytes.length * 8) / 5));
        try {
          expect(huffmanDecode(bytes, 0, bytes.length, target)).toBeLessThanOrEqual(target.length);
        } catch (error) {
          expect((error as Error).message).not.toMatch(/exceeds/);
        }
      }),
    );
  });

  it("decodes every symbol alone and before every other", () => {
    for (let first = 0; first < EOS; first++) {
      for (let second = 0; second < EOS; second++) {
        const text = String.fromCharCode(first, second);
        expect(decode(encode(text))).toBe(text);
      }
    }
  });

  it.each([
    { what: "EOS", bytes: fromBits(bitsOf(EOS), "1") },
    { what: "EOS after a symbol", bytes: fromBits(bitsOf(0x61) + bitsOf(EOS), "1") },
    { what: "padding by zeros", bytes: fromBits(bitsOf(0x61), "0") },
    { what: "a whole byte of padding", bytes: Buffer.concat([fromBits(bitsOf(0x61), "1"), Buffer.of(0xff)]) },
    { what: "only padding", bytes: Buffer.of(0xff) },
    { what: "half a symbol", bytes: fromBits(bitsOf(0).slice(0, 8), "1") },
  ])("refuses $what", ({ bytes }) => {
    expect(() => decode(bytes)).toThrow(HpackError);
  });
});
