import {
  type DescMessage,
  LeaseGrantRequestSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  TxnRequestSchema,
  TxnResponseSchema,
  toBinary,
  WatchRequestSchema,
  WatchResponseSchema,
} from "@etcd-edge/proto";
import { type FuzzTarget, type Random, randomBytes } from "@etcd-edge/testkit";
import { decodeBase64 } from "../../src/json/base64.ts";
import { encodeJson } from "../../src/json/encode.ts";
import { quoteJson } from "../../src/json/go-quote.ts";
import { JsonInputError } from "../../src/json/json-input-error.ts";
import { parseJson } from "../../src/json/json-node.ts";
import { JsonScanner, type ScanResult } from "../../src/json/json-scanner.ts";
import { transcode } from "../../src/json/transcode.ts";
import { decodeInput, profileV1, profileV2 } from "../../src/profile/json-profile.ts";
import { plainHead } from "./plain-head-target.ts";

const keys = [
  "key",
  "range_end",
  "rangeEnd",
  "limit",
  "revision",
  "sort_order",
  "serializable",
  "compare",
  "success",
  "failure",
  "request_put",
  "requestRange",
  "create_request",
  "start_revision",
  "filters",
  "TTL",
  "ID",
  "value",
  "lease",
];
const atoms = [
  "null",
  "true",
  "false",
  "0",
  "-1",
  "1e3",
  "1.5",
  "9223372036854775808",
  '"Zm9v"',
  '"12"',
  '"DESCEND"',
  '"NOPUT"',
  '"\\ud800"',
  '"\\u0000"',
  '""',
  "{}",
  "[]",
  "1E400",
  "01",
  "-",
];
const deepest = 5;

/** JSON as etcd's clients send it, and near to it. */
function generateJson(random: Random, depth = 0): string {
  const kind = random.below(depth > deepest ? 1 : 4);
  const list = (): string[] => Array.from({ length: random.below(4) }, () => generateJson(random, depth + 1));
  if (kind === 0) return random.pick(atoms);
  if (kind === 1) return `[${list().join(",")}]`;
  return `{${list()
    .map((value) => `"${random.pick(keys)}" : ${value}`)
    .join(", ")}}`;
}

const generate = (random: Random): Buffer => Buffer.from(generateJson(random));
const pieces = [...keys.map((key) => `"${key}":`), ...atoms, "[[[[", "{{", "\\u", '"'].map((text) =>
  Buffer.from(text),
);
const messages: readonly DescMessage[] = [
  RangeRequestSchema,
  TxnRequestSchema,
  WatchRequestSchema,
  LeaseGrantRequestSchema,
];

/** Scans a body of which so many more bytes are there each time, and then its end. */
function scanParts(input: Buffer, step: number): ScanResult {
  const scanner = new JsonScanner();
  for (let end = step; ; end += step) {
    const result = scanner.scan(input.subarray(0, end));
    if (result.t !== "more") return result;
    if (end >= input.length) return scanner.finish();
  }
}

/** The end of a value in a body that comes in parts: the same wherever the parts are cut, and Node's JSON agrees. */
const scanner: FuzzTarget = {
  generate,
  pieces,
  run: (input) => {
    const whole = scanParts(input, input.length);
    const inParts = scanParts(input, 3);
    if (JSON.stringify(inParts) !== JSON.stringify(whole)) {
      throw new Error(`whole ${JSON.stringify(whole)}, in parts ${JSON.stringify(inParts)}`);
    }
    if (whole.t === "value") JSON.parse(input.toString("utf8", whole.start, whole.end));
    return whole.t === "error" ? whole.message.replaceAll(/'.*?'/g, "'…'").slice(0, 50) : whole.t;
  },
};

/** A body as a request: a message that can be sent on and shown again, or an error of ours; in both profiles. */
const request: FuzzTarget = {
  generate,
  pieces,
  run: (input) => {
    const scanned = scanParts(input, input.length);
    if (scanned.t !== "value") return "no value";
    const document = parseJson(Buffer.from(input.subarray(scanned.start, scanned.end)));
    const ways = [profileV1, profileV2].flatMap((profile) =>
      (["base64", "utf8"] as const).map((bytes) => ({ profile, bytes })),
    );
    const outcomes = ways.flatMap(({ profile, bytes }) =>
      messages.map((desc) => {
        try {
          const message = decodeInput(profile, desc, document, bytes);
          toBinary(desc, message);
          JSON.parse(encodeJson(desc, message, { quote: quoteJson, bytes }));
          return "ok";
        } catch (error) {
          if (!(error instanceof JsonInputError)) throw error;
          return error.message.replaceAll(/["`'].*?["`']|\d+/g, "…").slice(0, 25);
        }
      }),
    );
    return outcomes.join("|");
  },
};

/** Where Node's own decoder is strict enough to be asked, both must agree. */
const base64: FuzzTarget = {
  generate: (random) =>
    Buffer.from(randomBytes(random, 24).toString(random.pick(["base64", "base64url", "latin1"]))),
  pieces: ["=", "==", "\n", "-_", "+/"].map((text) => Buffer.from(text)),
  run: (input) => {
    const text = input.toString("latin1");
    const parts: string[] = [];
    for (const alphabet of ["standard", "url"] as const) {
      for (const padded of [true, false]) {
        const result = decodeBase64(text, { alphabet, padded });
        if (result.t === "corrupt" && (result.at < 0 || result.at > text.length))
          throw new Error(`corrupt at ${result.at}`);
        if (result.t === "bytes" && !Buffer.from(text, "base64").equals(result.bytes))
          throw new Error("other bytes");
        parts.push(result.t === "bytes" ? String(result.bytes.length) : "corrupt");
      }
    }
    return parts.join();
  },
};

/** What comes from etcd, or from who says it is: text that is JSON, as the codec has it, or a RangeError. */
const answers: FuzzTarget = {
  generate: (random) => randomBytes(random, 60),
  pieces: ["0a02", "1801", "1201", "0a00", "20ff", "ffffffffffffffffff01", "1a00", "5a04"].map((hex) =>
    Buffer.from(hex, "hex"),
  ),
  run: (input) =>
    answerTypes
      .map((desc) => {
        const style = { quote: quoteJson, bytes: "base64" as const };
        let text: string;
        try {
          text = transcode(desc, input, style);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          return "malformed";
        }
        JSON.parse(text);
        return text.replaceAll(/"[^"]*"(?!:)|\d+/g, "…").slice(0, 40);
      })
      .join("|"),
};
const answerTypes: readonly DescMessage[] = [RangeResponseSchema, TxnResponseSchema, WatchResponseSchema];

export const targets: Readonly<Record<string, FuzzTarget>> = {
  scanner,
  request,
  base64,
  answers,
  plainHead,
};
