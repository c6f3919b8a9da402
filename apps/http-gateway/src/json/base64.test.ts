import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Base64Encoding, decodeBase64 } from "./base64.ts";

const standard: Base64Encoding = { alphabet: "standard", padded: true };

describe("decodeBase64", () => {
  it("undoes every encoding", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const text = Buffer.from(bytes).toString("base64");
        const bare = text.replace(/=+$/, "");
        const url = Buffer.from(bytes).toString("base64url");
        const expected = { t: "bytes", bytes };
        const plain = (result: ReturnType<typeof decodeBase64>): unknown =>
          result.t === "bytes" ? { t: "bytes", bytes: Uint8Array.from(result.bytes) } : result;
        expect(plain(decodeBase64(text, standard))).toEqual(expected);
        expect(plain(decodeBase64(text.replace(/(.{3})/g, "$1\r\n"), standard))).toEqual(expected);
        expect(plain(decodeBase64(bare, { alphabet: "standard", padded: false }))).toEqual(expected);
        expect(plain(decodeBase64(url, { alphabet: "url", padded: false }))).toEqual(expected);
      }),
    );
  });

  // Offsets of Go's CorruptInputError, seen on etcd 3.4.23.
  it.each([
    ["__79_A==", 0],
    ["//79/A", 4],
    ["/_79/A==", 1],
    ["Zm 9v", 2],
    ["Zm9", 0],
    ["Z", 0],
    ["!!", 0],
    ["Zg=", 3],
    ["Zg=x", 2],
    ["Zm9v====", 4],
    ["Zm=9", 2],
    ["=", 0],
    ["Zg==Zg==", 4],
  ])("finds what is wrong with %s at %i", (text, at) => {
    expect(decodeBase64(text, standard)).toEqual({ t: "corrupt", at });
  });

  it("ignores bits left over in the last quantum", () => {
    expect(decodeBase64("Zh==", standard)).toEqual({ t: "bytes", bytes: Buffer.from("f") });
  });
});
