import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkMetadata, metadataValue } from "./metadata.ts";
import { PartialMessage } from "./partial-message.ts";
import { statusFromHttp, statusFromReset } from "./status.ts";
import { decodeStatusMessage, encodeStatusMessage } from "./status-message.ts";
import { formatTimeout, parseTimeout } from "./timeout.ts";

describe("grpc-timeout", () => {
  it.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3000],
    ["4m", 4],
    ["500u", 0.5],
    ["1000000n", 1],
    ["99999999H", 99_999_999 * 3_600_000],
    ["0S", 0],
  ])("parses %s", (text, ms) => {
    expect(parseTimeout(text)).toBeCloseTo(ms);
  });

  it.each(["", "S", "1", "1s", "1.5S", "-1S", "+1S", " 1S", "1S ", "999999999S", "1SS", "0x1S"])(
    "refuses %j",
    (text) => {
      expect(parseTimeout(text)).toBeUndefined();
    },
  );

  it.each([
    [0.2, "1m"],
    [-5, "1m"],
    [1.1, "2m"],
    [5000, "5000m"],
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [99_999_999_001, "27778H"],
  ])("rule 43: formats %d ms as %s: rounded up, at least 1 ms", (ms, text) => {
    expect(formatTimeout(ms)).toBe(text);
  });

  it("rule 43: never announces less time than there is, and at most eight digits", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 3e14, noNaN: true }), (ms) => {
        const text = formatTimeout(ms);
        expect(text).toMatch(/^\d{1,8}[mSH]$/);
        expect(parseTimeout(text)).toBeGreaterThanOrEqual(ms);
      }),
    );
  });
});

describe("grpc-message", () => {
  it("survives encoding, whatever the text, as printable ASCII without blank ends", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 50 }), (text) => {
        const encoded = encodeStatusMessage(text);
        expect(encoded).toMatch(/^([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?$/);
        expect(decodeStatusMessage(encoded)).toBe(text);
      }),
    );
  });

  it("keeps what is no valid escape", () => {
    expect(decodeStatusMessage("100% of %zz%4")).toBe("100% of %zz%4");
    expect(decodeStatusMessage("%41%")).toBe("A%");
  });

  it("leaves etcd's texts as they are", () => {
    const text = "etcdserver: mvcc: required revision has been compacted";
    expect(encodeStatusMessage(text)).toBe(text);
  });
});

describe("statuses of what is not gRPC", () => {
  it.each([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [200, 2],
    [500, 2],
    [302, 2],
  ])("HTTP %d is %d", (http, code) => {
    expect(statusFromHttp(http)).toBe(code);
  });

  it.each([
    [0, 13],
    [1, 13],
    [2, 13],
    [3, 13],
    [4, 13],
    [5, 2],
    [6, 13],
    [7, 14],
    [8, 1],
    [9, 13],
    [10, 13],
    [11, 8],
    [12, 7],
    [13, 2],
    [99, 2],
  ])("RST_STREAM %d is %d", (reset, code) => {
    expect(statusFromReset(reset)).toBe(code);
  });
});

describe("metadata", () => {
  it.each([
    { what: "an odd number of strings", metadata: ["a"] },
    { what: "upper case", metadata: ["A", "b"] },
    { what: "a pseudo-header", metadata: [":path", "/"] },
    { what: "an empty name", metadata: ["", "x"] },
    { what: "a name of ours", metadata: ["grpc-timeout", "1S"] },
    { what: "te", metadata: ["te", "trailers"] },
    { what: "a connection header", metadata: ["connection", "close"] },
    { what: "a line feed", metadata: ["a", "b\nc"] },
    { what: "a character above one byte", metadata: ["a", "ü€"] },
    { what: "a blank at the end", metadata: ["a", "b "] },
  ])("refuses $what", ({ metadata }) => {
    expect(() => checkMetadata(metadata)).toThrow(TypeError);
  });

  it("takes duplicates, empty values and -bin values", () => {
    expect(() => checkMetadata(["a", "", "a", "b c", "x-bin", "AAEC"])).not.toThrow();
    expect(metadataValue(["a", "1", "b", "2", "a", "3"], "a")).toBe("1");
    expect(metadataValue(["a", "b"], "b")).toBeUndefined();
  });
});

describe("PartialMessage", () => {
  it("puts a message together from any pieces", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.integer({ min: 1, max: 40 })),
        (payload, cuts) => {
          const bytes = Buffer.concat([
            Buffer.from([1, 0, 0, payload.length >> 8, payload.length & 255]),
            payload,
          ]);
          const partial = new PartialMessage();
          let at = 0;
          for (let turn = 0; at < bytes.length; turn++) {
            const end = Math.min(bytes.length, at + (cuts[turn % (cuts.length || 1)] ?? 7));
            while (at < end) {
              at = partial.hasPrefix ? partial.addPayload(bytes, at, end) : partial.addPrefix(bytes, at, end);
            }
          }
          expect(partial.flag).toBe(1);
          expect(partial.isWhole).toBe(true);
          expect(partial.payload.equals(payload)).toBe(true);
        },
      ),
    );
  });

  it("does not allocate what was only announced", () => {
    const partial = new PartialMessage();
    partial.addPrefix(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), 0, 5);
    partial.addPayload(Buffer.alloc(100), 0, 100);
    expect(partial.length).toBe(0xffff_ffff);
    expect(partial.filled).toBe(100);
    expect(partial.isWhole).toBe(false);
  });
});
