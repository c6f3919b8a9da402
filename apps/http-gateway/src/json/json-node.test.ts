import fc from "fast-check";
import { expect, it } from "vitest";
import { type JsonNode, parseJson, rawText, stringContent } from "./json-node.ts";

function toPlain(bytes: Buffer, node: JsonNode): unknown {
  switch (node.t) {
    case "object":
      return Object.fromEntries(node.members.map((member) => [member.name, toPlain(bytes, member.value)]));
    case "array":
      return node.items.map((item) => toPlain(bytes, item));
    case "string":
      return stringContent(bytes, node);
    default:
      return JSON.parse(rawText(bytes, node));
  }
}

it("reads what JSON.parse reads", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "grapheme" }), fc.constantFrom(undefined, 2), (value, indent) => {
      const { bytes, root } = parseJson(Buffer.from(JSON.stringify(value, undefined, indent)));
      // Through JSON once more: -0 is 0 there, and __proto__ a key.
      expect(JSON.stringify(toPlain(bytes, root))).toBe(JSON.stringify(JSON.parse(JSON.stringify(value))));
    }),
  );
});

it("keeps doubles and their places", () => {
  const { root } = parseJson(Buffer.from('{"a":1, "a" :2}'));
  expect(
    root.t === "object" && root.members.map(({ name, nameAt, nameEnd }) => [name, nameAt, nameEnd]),
  ).toEqual([
    ["a", 1, 4],
    ["a", 8, 11],
  ]);
});

it("puts U+FFFD for half a surrogate pair and for bytes that are not UTF-8, as Go does", () => {
  const half = parseJson(Buffer.from('"\\ud83dx"'));
  expect(stringContent(half.bytes, half.root)).toBe("\ufffdx");
  const bad = parseJson(Buffer.from([0x22, 0xff, 0x22]));
  expect(stringContent(bad.bytes, bad.root)).toBe("\ufffd");
});

it("ends on bytes that no scanner let through", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 30 }), (bytes) => {
      parseJson(Buffer.from(bytes));
    }),
  );
});
