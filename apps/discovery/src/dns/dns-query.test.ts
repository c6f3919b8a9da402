import dnsPacket from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answerQuery } from "./dns-answer.ts";
import { parseDnsMessage } from "./dns-query.ts";
import { encodeRefusal, encodeResponse } from "./dns-response.ts";
import { buildZone } from "./zone.ts";

const query = dnsPacket.encode({
  type: "query",
  id: 4711,
  flags: dnsPacket.RECURSION_DESIRED,
  questions: [{ type: "SRV", name: "_ETCD-client._tcp.Etcd.test" }],
  additionals: [
    {
      type: "OPT",
      name: ".",
      udpPayloadSize: 1232,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    },
  ],
});

function patched(change: (message: Buffer) => void): Buffer {
  const message = Buffer.from(query);
  change(message);
  return message;
}

describe("parseDnsMessage", () => {
  it("reads a query", () => {
    expect(parseDnsMessage(query)).toMatchObject({
      t: "query",
      query: {
        id: 4711,
        isRecursionDesired: true,
        name: "_etcd-client._tcp.etcd.test",
        asked: "_ETCD-client._tcp.Etcd.test",
        type: 33,
        class: 1,
        edns: { version: 0, udpBytes: 1232 },
      },
    });
  });

  it("does without EDNS", () => {
    const plain = dnsPacket.encode({ type: "query", id: 1, questions: [{ type: "A", name: "x.test" }] });
    expect(parseDnsMessage(plain)).toMatchObject({
      t: "query",
      query: { edns: undefined, isRecursionDesired: false },
    });
  });

  it("does not take a dot inside a label for the end of it", () => {
    const message = Buffer.concat([
      query.subarray(0, 10),
      Buffer.from([0, 0, 3]),
      Buffer.from("a.b\0"),
      Buffer.from([0, 1, 0, 1]),
    ]);
    expect(parseDnsMessage(message)).toMatchObject({ t: "query", query: { name: "a\\.b" } });
  });

  it.each([
    ["nothing", Buffer.alloc(0), "ignore"],
    ["less than a header", query.subarray(0, 11), "ignore"],
    ["a response", patched((message) => message.writeUInt8(0x80, 2)), "ignore"],
    ["another opcode", patched((message) => message.writeUInt8(0x28, 2)), "refuse"],
    ["no question", patched((message) => message.writeUInt16BE(0, 4)), "refuse"],
    ["two questions", patched((message) => message.writeUInt16BE(2, 4)), "refuse"],
    ["a compressed question", patched((message) => message.writeUInt8(0xc0, 12)), "refuse"],
    ["a question cut off", query.subarray(0, 30), "refuse"],
    ["a record cut off", query.subarray(0, query.length - 3), "refuse"],
    ["fewer records than promised", patched((message) => message.writeUInt16BE(9, 10)), "refuse"],
  ])("%s", (_, message, expected) => {
    expect(parseDnsMessage(message).t).toBe(expected);
  });
});

describe("whatever strangers send", () => {
  const zone = buildZone({
    origin: "etcd.test",
    ttlSeconds: 5,
    serial: 1,
    services: new Map([["_etcd-client._tcp", [{ target: "ip-10-0-0-1.etcd.test", port: 2379 }]]]),
    hosts: [{ label: "ip-10-0-0-1", addresses: ["10.0.0.1"] }],
    serverAddresses: ["10.0.0.9"],
  });

  /** What the server does with a message, up to the bytes. */
  function respond(message: Buffer): Buffer | undefined {
    const parsed = parseDnsMessage(message);
    if (parsed.t === "ignore") return undefined;
    return parsed.t === "refuse"
      ? encodeRefusal(parsed)
      : encodeResponse(parsed.query, answerQuery(zone, parsed.query), "udp");
  }

  function check(message: Buffer): void {
    const response = respond(message);
    if (response === undefined) return;
    expect(response.readUInt16BE(0)).toBe(message.readUInt16BE(0));
    expect(response.length).toBeLessThanOrEqual(1_232);
    dnsPacket.decode(response);
  }

  it("is answered with a packet or not at all: random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => check(Buffer.from(bytes))),
      { numRuns: 5_000 },
    );
  });

  it("is answered with a packet or not at all: a real query with bytes changed, cut and added", () => {
    const change = fc.record({ at: fc.nat(query.length - 1), to: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 6 }),
        fc.nat(query.length),
        fc.uint8Array({ maxLength: 40 }),
        (changes, end, more) => {
          const message = patched((bytes) => {
            for (const { at, to } of changes) bytes.writeUInt8(to, at);
          });
          check(message);
          check(Buffer.concat([message.subarray(0, end), more]));
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it("is answered with a packet or not at all: a query cut at every byte", () => {
    for (let end = 0; end <= query.length; end += 1) check(query.subarray(0, end));
  });
});
