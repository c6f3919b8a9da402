import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  encodeOwnHeader,
  encodeProxyHeader,
  type ProxiedConnection,
  parseProxyHeader,
} from "./proxy-header.ts";

const connection: ProxiedConnection = {
  sourceAddress: "192.0.2.1",
  sourcePort: 56_324,
  destinationAddress: "192.0.2.11",
  destinationPort: 443,
};
const connection6 = { ...connection, sourceAddress: "2001:db8::1", destinationAddress: "::1" };

describe("PROXY headers", () => {
  it("are written as the specification shows", () => {
    expect(encodeProxyHeader(connection, 1).toString()).toBe("PROXY TCP4 192.0.2.1 192.0.2.11 56324 443\r\n");
    expect(encodeProxyHeader(connection, 2).toString("hex")).toBe(
      "0d0a0d0a000d0a515549540a2111000cc0000201c000020bdc0401bb",
    );
    expect(encodeProxyHeader(connection6, 2).toString("hex")).toBe(
      `0d0a0d0a000d0a515549540a21210024${"20010db8000000000000000000000001"}${"00".repeat(15)}01dc0401bb`,
    );
  });

  it("of our own connections name nobody", () => {
    expect(encodeOwnHeader(1).toString()).toBe("PROXY UNKNOWN\r\n");
    expect(encodeOwnHeader(2).toString("hex")).toBe("0d0a0d0a000d0a515549540a20000000");
    for (const version of [1, 2] as const) {
      const header = encodeOwnHeader(version);
      expect(parseProxyHeader(header)).toEqual({ t: "anonymous", bytes: header.length });
    }
  });

  it("know IPv4 inside IPv6", () => {
    const mapped = {
      ...connection,
      sourceAddress: "::ffff:192.0.2.1",
      destinationAddress: "::ffff:192.0.2.11",
    };
    expect(encodeProxyHeader(mapped, 1)).toEqual(encodeProxyHeader(connection, 1));
    const mixed = { ...connection, destinationAddress: "::1" };
    expect(parseProxyHeader(encodeProxyHeader(mixed, 2))).toMatchObject({
      t: "header",
      connection: { sourceAddress: "::ffff:c000:201", destinationAddress: "::1" },
    });
  });

  const port = fc.integer({ min: 0, max: 65_535 });
  const pair = fc.oneof(fc.tuple(fc.ipV4(), fc.ipV4()), fc.tuple(fc.ipV6(), fc.ipV6()));

  it("are read back, at every byte split, and what follows is left alone", () => {
    fc.assert(
      fc.property(
        pair,
        port,
        port,
        fc.constantFrom(1, 2) as fc.Arbitrary<1 | 2>,
        ([source, destination], from, to, version) => {
          const one = {
            sourceAddress: source,
            sourcePort: from,
            destinationAddress: destination,
            destinationPort: to,
          };
          const header = encodeProxyHeader(one, version);
          for (let end = 0; end < header.length; end += 1) {
            expect(parseProxyHeader(header.subarray(0, end))).toEqual({ t: "incomplete" });
          }
          const parsed = parseProxyHeader(Buffer.concat([header, Buffer.from("data")]));
          expect(parsed).toMatchObject({
            t: "header",
            bytes: header.length,
            connection: { sourcePort: from, destinationPort: to },
          });
        },
      ),
      { numRuns: 200 },
    );
  });

  const v2 = encodeProxyHeader(connection, 2);
  const patched = (at: number, byte: number): Buffer => {
    const header = Buffer.from(v2);
    header.writeUInt8(byte, at);
    return header;
  };

  it.each([
    ["v1 UNKNOWN", Buffer.from("PROXY UNKNOWN\r\nx"), { t: "anonymous", bytes: 15 }],
    [
      "v1 UNKNOWN with addresses",
      Buffer.from("PROXY UNKNOWN ffff::1 ::1 1 2\r\n"),
      { t: "anonymous", bytes: 31 },
    ],
    ["v2 LOCAL", patched(12, 0x20), { t: "anonymous", bytes: 28 }],
    ["v2 of another family", patched(13, 0x31), { t: "anonymous", bytes: 28 }],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n"), { t: "invalid" }],
    ["a TLS handshake", Buffer.from([0x16, 3, 1]), { t: "invalid" }],
    ["v1 of the wrong family", Buffer.from("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), { t: "invalid" }],
    ["v1 with a port too large", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 70000 2\r\n"), { t: "invalid" }],
    ["v1 with something more", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), { t: "invalid" }],
    ["v1 without an end", Buffer.from(`PROXY TCP4 ${"1".repeat(120)}`), { t: "invalid" }],
    ["v2 of another version", patched(12, 0x31), { t: "invalid" }],
    ["v2 with another command", patched(12, 0x22), { t: "invalid" }],
    ["v2 too short for its addresses", patched(15, 4).subarray(0, 20), { t: "invalid" }],
    ["v2 too long for anything", patched(14, 0xff), { t: "invalid" }],
  ])("%s", (_, bytes, expected) => {
    expect(parseProxyHeader(bytes)).toEqual(expected);
  });

  it("never throw, whatever comes", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom("", "PROXY ", "PROXY TCP4 ", v2.toString("latin1", 0, 13)),
        (bytes, start) => {
          const { t } = parseProxyHeader(Buffer.concat([Buffer.from(start, "latin1"), bytes]));
          expect(["incomplete", "header", "anonymous", "invalid"]).toContain(t);
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
