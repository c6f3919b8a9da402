import dnsPacket, { type RecordType } from "dns-packet";
import { describe, expect, it } from "vitest";
import { answerQuery } from "./dns-answer.ts";
import { parseDnsMessage } from "./dns-query.ts";
import { encodeResponse } from "./dns-response.ts";
import { buildZone, type Zone } from "./zone.ts";

/** So many targets, each with so many ports. */
function zoneOf(count: number, ports = 1): Zone {
  const hosts = Array.from({ length: count }, (_, n) => ({
    label: `ip-10-0-0-${n}`,
    addresses: [`10.0.0.${n}`, `fd00::${n}`],
  }));
  return buildZone({
    origin: "etcd.test",
    ttlSeconds: 5,
    serial: 7,
    services: new Map([
      [
        "_etcd-client._tcp",
        hosts.flatMap(({ label }) =>
          Array.from({ length: ports }, (_, n) => ({
            ...{ target: `${label}.etcd.test`, port: 2379 + n, priority: 0, weight: 0 },
          })),
        ),
      ],
      ["_etcd-client-ssl._tcp", []],
    ]),
    hosts,
    serverAddresses: ["10.0.0.9"],
  });
}

type Asked = {
  name: string;
  type: RecordType;
  edns?: { bytes: number; version?: number };
  via?: "udp" | "tcp";
  count?: number;
  ports?: number;
  turn?: number;
};

/** Asks the way a client does, packet to packet. */
function ask({ name, type, edns, via = "udp", count = 2, ports = 1, turn = 0 }: Asked) {
  const message = dnsPacket.encode({
    type: "query",
    id: 1,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type }],
    additionals:
      edns === undefined
        ? []
        : [
            {
              type: "OPT",
              name: ".",
              udpPayloadSize: edns.bytes,
              extendedRcode: 0,
              ednsVersion: edns.version ?? 0,
              flags: 0,
              flag_do: false,
              options: [],
            },
          ],
  });
  const parsed = parseDnsMessage(message);
  if (parsed.t !== "query") throw new Error("no query");
  const bytes = encodeResponse(parsed.query, answerQuery(zoneOf(count, ports), parsed.query, turn), via);
  const packet = dnsPacket.decode(bytes);
  const rcode = (packet.flags ?? 0) & 0xf;
  return { packet, rcode, bytes, answers: packet.answers ?? [], additionals: packet.additionals ?? [] };
}

describe("answers", () => {
  it("SRV with the addresses of the targets, as the authority, the question's letters kept", () => {
    const { packet, answers, additionals } = ask({ name: "_eTcd-Client._tcp.ETCD.test", type: "SRV" });
    expect(packet).toMatchObject({
      flag_qr: true,
      flag_aa: true,
      flag_rd: true,
      flag_ra: false,
      flag_tc: false,
    });
    expect(packet.questions).toMatchObject([{ name: "_eTcd-Client._tcp.ETCD.test", type: "SRV" }]);
    expect(answers).toMatchObject([
      {
        type: "SRV",
        name: "_eTcd-Client._tcp.ETCD.test",
        ttl: 5,
        data: { target: "ip-10-0-0-0.etcd.test", port: 2379 },
      },
      { type: "SRV", data: { target: "ip-10-0-0-1.etcd.test" } },
    ]);
    expect(additionals.map(({ type }) => type)).toEqual(["A", "AAAA", "A", "AAAA"]);
  });

  it.each([
    ["A of a target", "ip-10-0-0-1.etcd.test", "A", 0, ["10.0.0.1"]],
    ["AAAA of a target", "ip-10-0-0-1.etcd.test", "AAAA", 0, ["fd00::1"]],
    ["NS of the zone", "etcd.test", "NS", 0, ["ns.etcd.test"]],
    ["A of the name server", "ns.etcd.test", "A", 0, ["10.0.0.9"]],
    ["no AAAA of the name server: no data, not no name", "ns.etcd.test", "AAAA", 0, []],
    ["a service nobody is behind: no data, not no name", "_etcd-client-ssl._tcp.etcd.test", "SRV", 0, []],
    ["a name with something below it: no data", "_tcp.etcd.test", "SRV", 0, []],
    ["a name that does not exist", "nobody.etcd.test", "A", 3, []],
    ["below a name that exists", "x.ns.etcd.test", "A", 3, []],
    ["another zone", "etcd.example", "A", 5, []],
    ["a zone whose name ends alike", "notetcd.test", "A", 5, []],
    ["a zone transfer", "etcd.test", "AXFR", 5, []],
  ] as const)("%s", (_, name, type, rcode, data) => {
    const response = ask({ name, type });
    expect(response.rcode).toBe(rcode);
    expect(response.answers.map((answer) => ("data" in answer ? answer.data : undefined))).toEqual(data);
    const hasSoa = (response.packet.authorities ?? []).some(
      (record) => record.type === "SOA" && record.data.minimum === 5,
    );
    expect(hasSoa).toBe(rcode !== 5 && data.length === 0);
  });

  it("begin with another record each turn, and tell the addresses of a host once, however many of its ports are there", () => {
    const starts = [0, 1, 2, 3].map((turn) => {
      const { answers, additionals } = ask({
        ...({ name: "_etcd-client._tcp.etcd.test", type: "SRV" } as const),
        ...{ count: 1, ports: 3, turn },
      });
      expect(additionals.map(({ type }) => type)).toEqual(["A", "AAAA"]);
      const found = answers.map((answer) => (answer.type === "SRV" ? answer.data.port : 0));
      expect([...found].sort()).toEqual([2379, 2380, 2381]);
      return found[0];
    });
    expect(starts).toEqual([2379, 2380, 2381, 2379]);
  });

  it("SOA of the zone", () => {
    expect(ask({ name: "etcd.test", type: "SOA" }).answers).toMatchObject([
      { type: "SOA", data: { mname: "ns.etcd.test", rname: "hostmaster.etcd.test", serial: 7, minimum: 5 } },
    ]);
  });

  it("ANY with the little that RFC 8482 asks for", () => {
    expect(ask({ name: "_etcd-client._tcp.etcd.test", type: "ANY" as RecordType }).answers).toMatchObject([
      { type: "HINFO", data: { cpu: "RFC8482" } },
    ]);
  });
});

describe("EDNS", () => {
  it("is answered where it was spoken, and only there", () => {
    expect(ask({ name: "etcd.test", type: "SOA" }).additionals).toEqual([]);
    expect(ask({ name: "etcd.test", type: "SOA", edns: { bytes: 4096 } }).additionals).toMatchObject([
      { type: "OPT", udpPayloadSize: 1232, ednsVersion: 0 },
    ]);
  });

  it("of a version we do not know is refused as BADVERS", () => {
    const { rcode, additionals, answers } = ask({
      name: "etcd.test",
      type: "SOA",
      edns: { bytes: 1232, version: 1 },
    });
    expect({ rcode, answers }).toEqual({ rcode: 0, answers: [] });
    expect(additionals).toMatchObject([{ type: "OPT", extendedRcode: 1, ednsVersion: 0 }]);
  });
});

describe("size", () => {
  const many = { name: "_etcd-client._tcp.etcd.test", type: "SRV" } as const;

  it.each([
    ["512 bytes without EDNS", undefined, 512],
    ["what the client takes", { bytes: 600 }, 600],
    ["never less than 512", { bytes: 10 }, 512],
    ["never more than 1232", { bytes: 65_535 }, 1_232],
  ])("is at most %s", (_, edns, limit) => {
    for (let count = 1; count < 60; count += 1) {
      const { bytes, packet, answers, additionals } = ask({
        ...many,
        count,
        ...(edns === undefined ? {} : { edns }),
      });
      expect(bytes.length).toBeLessThanOrEqual(limit);
      if (packet.flag_tc)
        expect([...answers, ...additionals.filter(({ type }) => type !== "OPT")]).toEqual([]);
      else expect(answers).toHaveLength(count);
    }
  });

  it("costs the addresses first, then everything with TC set", () => {
    const fits = ask({ ...many, count: 3 });
    expect([fits.packet.flag_tc, fits.answers.length, fits.additionals.length]).toEqual([false, 3, 6]);
    const tight = ask({ ...many, count: 5 });
    expect([tight.packet.flag_tc, tight.answers.length, tight.additionals.length]).toEqual([false, 5, 0]);
    const over = ask({ ...many, count: 50 });
    expect([over.packet.flag_tc, over.answers.length]).toEqual([true, 0]);
  });

  it("does not matter over TCP", () => {
    const { packet, answers, additionals } = ask({ ...many, count: 200, via: "tcp" });
    expect([packet.flag_tc, answers.length, additionals.length]).toEqual([false, 200, 400]);
  });
});
