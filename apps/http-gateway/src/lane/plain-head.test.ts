import { describe, expect, it } from "vitest";
import { beginsWith, readPlainHead } from "./plain-head.ts";

const plain = [
  "POST /v3/kv/range HTTP/1.1",
  "Host: localhost:23780",
  "User-Agent: curl/8.5.0",
  "Accept: */*",
  "Content-Length: 2",
  "Content-Type: application/x-www-form-urlencoded",
];
const text = (lines: readonly string[]): string => `${lines.join("\r\n")}\r\n\r\n`;
const read = (head: string) => readPlainHead(Buffer.from(head, "latin1"));

describe("a plain head", () => {
  it("is read as Node reads it, up to the body", () => {
    const head = read(`${text(plain)}{}POST`);
    expect(head).toMatchObject({ path: "/v3/kv/range", contentLength: 2, isLast: false });
    expect(head?.bytes.toString()).toBe(text(plain));
    expect(head?.rawHeaders.slice(0, 4)).toEqual(["Host", "localhost:23780", "User-Agent", "curl/8.5.0"]);
    expect(head?.headers["user-agent"]).toBe("curl/8.5.0");
  });

  it.each([
    ["keep-alive", false],
    ["close", true],
  ])("says whether it is the last: Connection: %s", (value, isLast) => {
    expect(read(text([...plain, `Connection: ${value}`]))?.isLast).toBe(isLast);
  });

  it("is known again only by all of its bytes", () => {
    const head = read(text(plain));
    if (head === undefined) throw new Error("not plain");
    expect(beginsWith(Buffer.from(`${text(plain)}{}`), head)).toBe(true);
    for (let i = 0; i < head.bytes.length; i++) {
      const other = Buffer.from(head.bytes);
      other[i] = (other[i] ?? 0) ^ 1;
      expect(beginsWith(other, head)).toBe(false);
      expect(beginsWith(head.bytes.subarray(0, i), head)).toBe(false);
    }
  });

  const instead = (at: number, ...lines: string[]): string => text(plain.toSpliced(at, 1, ...lines));
  it.each([
    ["that is not whole", text(plain).slice(0, -1)],
    ["of nothing", ""],
    ["with another method", instead(0, "GET /v3/kv/range HTTP/1.1")],
    ["with a method in lower case", instead(0, "post /v3/kv/range HTTP/1.1")],
    ["of HTTP/1.0", instead(0, "POST /v3/kv/range HTTP/1.0")],
    ["of HTTP/1.2", instead(0, "POST /v3/kv/range HTTP/1.2")],
    ["with a query", instead(0, "POST /v3/kv/range?utf8 HTTP/1.1")],
    ["with an escape in its path", instead(0, "POST /v3/kv/r%61nge HTTP/1.1")],
    ["with dots in its path", instead(0, "POST /v3/../v3/kv/range HTTP/1.1")],
    ["for a proxy", instead(0, "POST http://localhost/v3/kv/range HTTP/1.1")],
    ["with two spaces", instead(0, "POST  /v3/kv/range HTTP/1.1")],
    ["behind an empty line", `\r\n${text(plain)}`],
    ["without a Host", instead(1)],
    ["with two Hosts", instead(1, "Host: a", "host: b")],
    ["with an empty Host", instead(1, "Host: ")],
    ["without a length", instead(4)],
    ["with two lengths", instead(4, "Content-Length: 2", "Content-Length: 2")],
    ["with a list of lengths", instead(4, "Content-Length: 2, 2")],
    ["with a signed length", instead(4, "Content-Length: +2")],
    ["with a length in hex", instead(4, "Content-Length: 0x2")],
    ["with a length that begins with 0", instead(4, "Content-Length: 02")],
    ["with a length and a space", instead(4, "Content-Length: 2 ")],
    ["with a length of many digits", instead(4, "Content-Length: 1000000000")],
    ["with a transfer encoding", instead(4, "Content-Length: 2", "Transfer-Encoding: chunked")],
    ["with a space before the colon", instead(4, "Content-Length : 2")],
    ["without a space behind the colon", instead(4, "Content-Length:2")],
    ["with a tab behind the colon", instead(4, "Content-Length:\t2")],
    ["with a folded line", instead(3, "Accept: */*", " text/html")],
    ["with a line that is no header", instead(3, "Accept")],
    ["with a bare line feed", instead(3, "Accept: */*\nTransfer-Encoding: chunked")],
    ["with a bare carriage return", instead(3, "Accept: */*\rTransfer-Encoding: chunked")],
    ["that ends in line feeds", `${plain.join("\n")}\n\n`],
    ["with a zero byte", instead(3, "Accept: a\0b")],
    ["with a byte above ASCII", instead(3, "Accept: \u00e4")],
    ["with an empty value", instead(3, "Authorization: ")],
    ["that expects", instead(3, "Expect: 100-continue")],
    ["that upgrades", instead(3, "Connection: Upgrade", "Upgrade: websocket")],
    ["with a Connection of several words", instead(3, "Connection: keep-alive, x")],
    ["with trailers", instead(3, "TE: trailers")],
    ["with a page's origin", instead(3, "Origin: http://a.example")],
    ["with a name of Object's", instead(3, "constructor: a")],
    ["with an unknown name", instead(3, "X-Http-Method-Override: GET")],
    ["of more than 8 KiB", instead(3, `Accept: ${"a".repeat(8_192)}`)],
  ])("is none %s", (_, head) => {
    expect(read(head)).toBeUndefined();
  });
});
