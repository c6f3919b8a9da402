import { describe, expect, it } from "vitest";
import { intKind, parseGoBool, parseGoInteger, parseGoList, uint32Kind, uintKind } from "./go-values.ts";

describe("parseGoBool", () => {
  it.each(["1", "t", "T", "TRUE", "true", "True"])("takes %s for true", (word) => {
    expect(parseGoBool(word)).toBe(true);
  });
  it.each(["0", "f", "F", "FALSE", "false", "False"])("takes %s for false", (word) => {
    expect(parseGoBool(word)).toBe(false);
  });
  it("refuses other words with the sentence of strconv", () => {
    expect(() => parseGoBool("yes")).toThrow(new Error('strconv.ParseBool: parsing "yes": invalid syntax'));
  });
});

describe("parseGoInteger", () => {
  it.each([
    ["10", 10],
    ["-10", -10],
    ["+10", 10],
    ["0x1f", 31],
    ["0b101", 5],
    ["0o17", 15],
    ["017", 15],
    ["1_000", 1_000],
    ["0", 0],
  ])("reads %s", (text, value) => {
    expect(parseGoInteger(text, intKind)).toBe(value);
  });

  it.each([
    ["x", intKind, 'strconv.ParseInt: parsing "x": invalid syntax'],
    ["", intKind, 'strconv.ParseInt: parsing "": invalid syntax'],
    ["1__0", intKind, 'strconv.ParseInt: parsing "1__0": invalid syntax'],
    ["-1", uint32Kind, 'strconv.ParseUint: parsing "-1": invalid syntax'],
    ["4294967296", uint32Kind, 'strconv.ParseUint: parsing "4294967296": value out of range'],
    [
      "18446744073709551616",
      uintKind,
      'strconv.ParseUint: parsing "18446744073709551616": value out of range',
    ],
  ])("refuses %j", (text, kind, message) => {
    expect(() => parseGoInteger(text, kind)).toThrow(new Error(message));
  });
});

describe("parseGoList", () => {
  it.each([
    ["", []],
    ["a:1", ["a:1"]],
    ["a:1,b:2", ["a:1", "b:2"]],
    ["a:1,", ["a:1", ""]],
    [",", ["", ""]],
    ['"a,b",c', ["a,b", "c"]],
    ['"say ""hi"""', ['say "hi"']],
  ])("splits %j", (text, fields) => {
    expect(parseGoList(text)).toEqual(fields);
  });
  it.each([
    ['a"b', 'parse error on line 1, column 2: bare " in non-quoted field'],
    ['"a', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'],
    ['"a"b', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'],
  ])("refuses %j", (text, message) => {
    expect(() => parseGoList(text)).toThrow(new Error(message));
  });
});
