import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defaultJsonLimits, JsonScanner, type ScanResult } from "./json-scanner.ts";

function scan(text: string | Buffer): ScanResult {
  const scanner = new JsonScanner();
  const result = scanner.scan(Buffer.from(text));
  return result.t === "more" ? scanner.finish() : result;
}

describe("JsonScanner", () => {
  // The texts of Go's encoding/json, seen on etcd 3.4.23 and 3.5.30.
  it.each([
    ['{"key":', "unexpected EOF"],
    ['{"key" "Zm9v"}', "invalid character '\"' after object key"],
    ["hello", "invalid character 'h' looking for beginning of value"],
    ['{"key":"Zm9v",}', "invalid character '}' looking for beginning of object key string"],
    ["{'key':1}", "invalid character '\\'' looking for beginning of object key string"],
    ['{"key":"Zm9v"/*c*/}', "invalid character '/' after object key:value pair"],
    ["[1 2]", "invalid character '2' after array element"],
    ["\ufeff{}", "invalid character 'ï' looking for beginning of value"],
    ['{"key":"Zm9v\u0000"}', "invalid character '\\x00' in string literal"],
    ['{"key":"\\x41"}', "invalid character 'x' in string escape code"],
    ['{"key":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"],
    ["trux", "invalid character 'x' in literal true (expecting 'e')"],
    ["nulx", "invalid character 'x' in literal null (expecting 'l')"],
    ["-x", "invalid character 'x' in numeric literal"],
    ["1.x", "invalid character 'x' after decimal point in numeric literal"],
    ["1ex", "invalid character 'x' in exponent of numeric literal"],
    ["1e+x", "invalid character 'x' in exponent of numeric literal"],
    ["1e", "unexpected EOF"],
    ['"abc', "unexpected EOF"],
    ["[".repeat(defaultJsonLimits.maxDepth + 1), "exceeded max depth"],
  ])("refuses %j as Go does", (text, message) => {
    expect(scan(text)).toEqual({ t: "error", message });
  });

  it.each(["", " ", "\n\t\r "])("takes %j for nothing", (text) => {
    expect(scan(text)).toEqual({ t: "more" });
  });

  it.each([
    [' {"a":[1,-0.5e+2,true,false,null,"\\u0041\\n"]} x', 1, 45],
    ["12 ", 0, 2],
    ["12", 0, 2],
    ["0", 0, 1],
    ["-1.5e3]", 0, 6],
    ['"a\\"b"c', 0, 6],
    ["nullx", 0, 4],
    ["{}{}", 0, 2],
  ])("finds the value in %j", (text, start, end) => {
    expect(scan(text)).toEqual({ t: "value", start, end });
  });

  it("comes to the same at every byte split", () => {
    const texts = [
      '{"a":[1.5e3,{"b":"\\u00e9\\\\"}],"c":null} ',
      '{"a":tru}',
      '["\\ud83d\\ude00", -0]',
      '{"a":1,}',
    ];
    for (const text of texts) {
      const bytes = Buffer.from(text);
      const whole = scan(bytes);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const scanner = new JsonScanner();
        const first = scanner.scan(bytes.subarray(0, cut));
        expect(first.t === "more" ? scanner.scan(bytes) : first).toEqual(whole);
      }
    }
  });

  it("accepts every JSON text and ends at its end", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        const bytes = Buffer.from(`${text} `);
        expect(scan(bytes)).toEqual({ t: "value", start: 0, end: bytes.length - 1 });
      }),
    );
  });

  it("agrees with JSON.parse on what is no JSON", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.constantFrom(...'{}[]",:0-ex\\ '), (text, at, char) => {
        const broken = text.slice(0, at % text.length) + char + text.slice((at % text.length) + 1);
        const result = scan(broken);
        const found =
          result.t === "value"
            ? broken.slice(0, 0) + Buffer.from(broken).toString("utf8", result.start, result.end)
            : undefined;
        // What is accepted parses; what parses is accepted whole.
        if (found !== undefined) expect(() => JSON.parse(found)).not.toThrow();
        let parses = true;
        try {
          JSON.parse(broken);
        } catch {
          parses = false;
        }
        if (parses) expect(found?.trim()).toBe(broken.trim());
      }),
    );
  });
});
