import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { HpackDecoder } from "./decoder.ts";
import { encodeInteger } from "./encoder.ts";
import type { HeaderField } from "./header-field.ts";

type Pairs = readonly (readonly [name: string, value: string])[];

interface Example {
  readonly section: string;
  readonly hex: string;
  readonly fields: Pairs;
  /** Dynamic table after the block, newest first, and its size. */
  readonly table: Pairs;
  readonly size: number;
}

function decode(decoder: HpackDecoder, hex: string): Pairs {
  const block = Buffer.from(hex.replaceAll(" ", ""), "hex");
  const fields: (readonly [string, string])[] = [];
  decoder.decode(block, 0, block.length, {
    add: (field: HeaderField) => fields.push([field.name, field.value]),
  });
  return fields;
}

function tableOf(decoder: HpackDecoder): Pairs {
  return Array.from({ length: decoder.table.length }, (_, i) => {
    const { name, value } = decoder.table.at(62 + i);
    return [name, value];
  });
}

function runExamples(tableBytes: number, examples: readonly Example[]): void {
  const decoder = new HpackDecoder(tableBytes);
  for (const example of examples) {
    expect(decode(decoder, example.hex), example.section).toEqual(example.fields);
    expect(tableOf(decoder), example.section).toEqual(example.table);
    expect(decoder.table.size, example.section).toBe(example.size);
  }
}

const request = (path: string, scheme: string): Pairs => [
  [":method", "GET"],
  [":scheme", scheme],
  [":path", path],
  [":authority", "www.example.com"],
];
const authority = [":authority", "www.example.com"] as const;
const noCache = ["cache-control", "no-cache"] as const;
const custom = ["custom-key", "custom-value"] as const;

describe("RFC 7541, appendix C", () => {
  it.each([
    { value: 10, prefix: 5, hex: "0a" },
    { value: 1337, prefix: 5, hex: "1f9a0a" },
    { value: 42, prefix: 8, hex: "2a" },
  ])("C.1: $value with a prefix of $prefix bits is $hex", ({ value, prefix, hex }) => {
    const target = Buffer.alloc(8);
    const end = encodeInteger(target, 0, 0, prefix, value);
    expect(target.toString("hex", 0, end)).toBe(hex);
  });

  it.each([
    {
      hex: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
      field: ["custom-key", "custom-header"],
      size: 55,
    },
    { hex: "040c 2f73 616d 706c 652f 7061 7468", field: [":path", "/sample/path"], size: 0 },
    { hex: "1008 7061 7373 776f 7264 0673 6563 7265 74", field: ["password", "secret"], size: 0 },
    { hex: "82", field: [":method", "GET"], size: 0 },
  ])("C.2: $field stands in $hex", ({ hex, field, size }) => {
    const decoder = new HpackDecoder();
    expect(decode(decoder, hex)).toEqual([field]);
    expect(decoder.table.size).toBe(size);
  });

  it.each([
    {
      name: "C.3: requests without Huffman coding",
      blocks: [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
      ],
    },
    {
      name: "C.4: requests with Huffman coding",
      blocks: [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
      ],
    },
  ])("$name", ({ blocks }) => {
    const [first = "", second = "", third = ""] = blocks;
    runExamples(4096, [
      { section: "1", hex: first, fields: request("/", "http"), table: [authority], size: 57 },
      {
        section: "2",
        hex: second,
        fields: [...request("/", "http"), noCache],
        table: [noCache, authority],
        size: 110,
      },
      {
        section: "3",
        hex: third,
        fields: [...request("/index.html", "https"), custom],
        table: [custom, noCache, authority],
        size: 164,
      },
    ]);
  });

  it.each([
    {
      name: "C.5: responses without Huffman coding, with evictions",
      blocks: [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
      ],
    },
    {
      name: "C.6: responses with Huffman coding, with evictions",
      blocks: [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      ],
    },
  ])("$name", ({ blocks }) => {
    const [first = "", second = "", third = ""] = blocks;
    const date = ["date", "Mon, 21 Oct 2013 20:13:21 GMT"] as const;
    const later = ["date", "Mon, 21 Oct 2013 20:13:22 GMT"] as const;
    const isPrivate = ["cache-control", "private"] as const;
    const location = ["location", "https://www.example.com"] as const;
    const found = [":status", "302"] as const;
    const moved = [":status", "307"] as const;
    const gzip = ["content-encoding", "gzip"] as const;
    const cookie = ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"] as const;
    runExamples(256, [
      {
        section: "1",
        hex: first,
        fields: [found, isPrivate, date, location],
        table: [location, date, isPrivate, found],
        size: 222,
      },
      {
        section: "2",
        hex: second,
        fields: [moved, isPrivate, date, location],
        table: [moved, location, date, isPrivate],
        size: 222,
      },
      {
        section: "3",
        hex: third,
        fields: [[":status", "200"], isPrivate, later, location, gzip, cookie],
        table: [cookie, gzip, later],
        size: 215,
      },
    ]);
  });
});
