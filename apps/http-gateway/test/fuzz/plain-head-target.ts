import { createRequire } from "node:module";
import type { FuzzTarget, Random } from "@etcd-edge/testkit";
import { readPlainHead } from "../../src/lane/plain-head.ts";

/** Of what Node itself reads HTTP with: no public API, but there is no other that reads as node:http does. */
interface Parser {
  [index: number]: unknown;
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
}
interface ParserClass {
  new (): Parser;
  readonly REQUEST: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}
interface HttpCommon {
  readonly HTTPParser: ParserClass;
  readonly methods: readonly string[];
}

const { HTTPParser, methods } = createRequire(import.meta.url)("node:_http_common") as HttpCommon;

const lines = [
  "POST /v3/kv/range HTTP/1.1",
  "POST /v3/kv/put HTTP/1.1",
  "GET /v3/kv/range HTTP/1.1",
  "Host: a",
  "host: b:1",
  "Content-Length: 0",
  "Content-Length: 2",
  "content-length: 17",
  "Content-Length: 02",
  "Content-Length: 1, 1",
  "Transfer-Encoding: chunked",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: Upgrade",
  "Upgrade: h2c",
  "Expect: 100-continue",
  "Accept: */*",
  "Accept: \t a",
  " folded",
  "X-Real-Ip: 1",
  "Authorization:",
  "",
];
const endings = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n\r\n", " \r\n"];
const strange = "\r\n\t\0 :,;\x7f\x80\xffaA0/";

/** Nearly always a plain head to begin with, and then a little less. */
function generateHead(random: Random): string {
  const pick = (list: readonly string[]): string => list[random.below(list.length)] ?? "";
  const chosen = [lines[0] ?? "", "Host: a", "Content-Length: 2"];
  for (let i = random.below(4); i > 0; i--) chosen.splice(random.below(chosen.length + 1), 0, pick(lines));
  const isClean = random.below(2) === 0;
  let text = chosen.map((line) => line + (isClean ? "\r\n" : pick(endings))).join("");
  text += "\r\n{}";
  for (let i = random.below(3); i > 0; i--) {
    const at = random.below(text.length);
    text =
      text.slice(0, at) + (strange[random.below(strange.length)] ?? "") + text.slice(at + random.below(2));
  }
  return text;
}

/** What Node makes of a head and as many bytes of body as it says. */
function readByNode(bytes: Buffer): object {
  const seen = { method: "", url: "", headers: [] as readonly string[], isLast: false, body: 0, messages: 0 };
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {});
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    headers: readonly string[],
    method: number,
    url: string,
    ...rest: readonly unknown[]
  ): number => {
    Object.assign(seen, { method: methods[method], url, headers, isLast: rest.at(-1) === false });
    return 0;
  };
  parser[HTTPParser.kOnBody] = (body: Buffer): void => {
    seen.body += body.length;
  };
  parser[HTTPParser.kOnMessageComplete] = (): void => void seen.messages++;
  const used = parser.execute(bytes);
  return { ...seen, used };
}

/** Where the lane takes a request, Node takes the same one for whole, byte for byte. */
export const plainHead: FuzzTarget = {
  generate: (random) => Buffer.from(generateHead(random), "latin1"),
  pieces: lines.map((line) => Buffer.from(`${line}\r\n`)),
  run: (input) => {
    const head = readPlainHead(Buffer.from(input));
    if (head === undefined) return "not plain";
    if (head.contentLength > 10_000) return "long";
    const bytes = Buffer.concat([head.bytes, Buffer.alloc(head.contentLength, "x")]);
    const ours = {
      ...{ method: "POST", url: head.path, headers: head.rawHeaders, isLast: head.isLast },
      ...{ body: head.contentLength, messages: 1, used: bytes.length },
    };
    const theirs = readByNode(bytes);
    if (JSON.stringify(ours) !== JSON.stringify(theirs))
      throw new Error(`read as ${JSON.stringify(ours)}, by Node as ${JSON.stringify(theirs)}`);
    return Object.keys(head.headers).sort().join();
  },
};
