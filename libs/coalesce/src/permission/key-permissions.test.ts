import { describe, expect, it } from "vitest";
import type { KeyRange } from "../range/key-range.ts";
import { covers } from "./key-permissions.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const point = (key: string): KeyRange => ({ t: "point", key: bytes(key) });
const span = (key: string, end: string): KeyRange => ({ t: "span", key: bytes(key), end: bytes(end) });
const from = (key: string): KeyRange => ({ t: "from", key: bytes(key) });
const everything: KeyRange = { t: "everything" };

describe("permissions cover a range", () => {
  it.each<[string, readonly KeyRange[], KeyRange, boolean]>([
    ["none", [], point("a"), false],
    ["the key itself", [point("a")], point("a"), true],
    ["another key", [point("b")], point("a"), false],
    ["a span around", [span("a", "c")], point("b"), true],
    ["a span up to it", [span("a", "b")], point("b"), false],
    ["two spans that touch", [span("b", "d"), span("a", "b")], span("a", "d"), true],
    ["two spans with a gap", [span("a", "b"), span("b\0", "d")], span("a", "d"), false],
    ["a key that fills the gap", [span("a", "b"), span("b\0", "d"), point("b")], span("a", "d"), true],
    ["spans that overlap", [span("a", "c"), span("b", "e"), span("b", "c")], span("a", "e"), true],
    ["a part of it", [span("a", "c")], span("a", "d"), false],
    ["from a key on", [from("b")], span("b", "z"), true],
    ["not from a key on, for all", [from("b")], everything, false],
    ["everything", [everything], from("x"), true],
    ["a single key is not what comes behind it", [point("k")], from("k"), false],
    ["spans never reach the end", [span("\0", "\xff\xff")], everything, false],
  ])("%s", (_, permitted, wanted, expected) => {
    expect(covers(permitted, wanted)).toBe(expected);
  });
});
