import { type FuzzTarget, type Random, randomBytes } from "@etcd-edge/testkit";
import dnsPacket from "dns-packet";
import { answerQuery } from "../../src/dns/dns-answer.ts";
import { parseDnsMessage } from "../../src/dns/dns-query.ts";
import { encodeComeByTcp, encodeRefusal, encodeResponse } from "../../src/dns/dns-response.ts";
import { buildZone } from "../../src/dns/zone.ts";

const zone = buildZone({
  origin: "etcd.local",
  ttlSeconds: 5,
  serial: 1,
  services: new Map([
    ["_etcd-client._tcp", [{ priority: 1, weight: 1, port: 2379, target: "a.etcd.local" }]],
  ]),
  hosts: [{ label: "a", addresses: ["127.0.0.1", "::1"] }],
  serverAddresses: ["127.0.0.1"],
});

const names = [
  "_etcd-client._tcp.etcd.local",
  "a.ETCD.local",
  "ns.etcd.local",
  "etcd.local",
  "x",
  "",
  "a..b",
];
const largestUdp = 4_096;

/** A query, or something near one: wrong counts, pointers, no end. */
function generate(random: Random): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(random.below(65_536), 0);
  header.writeUInt16BE(random.chance(80) ? 0x0100 : random.below(65_536), 2);
  header.writeUInt16BE(random.chance(90) ? 1 : random.below(4), 4);
  header.writeUInt16BE(random.chance(70) ? random.below(2) : random.below(65_536), 10);
  const labels = random
    .pick(names)
    .split(".")
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, "latin1"));
  const end = random.chance(85) ? Buffer.alloc(1) : Buffer.from([0xc0, random.below(256)]);
  const type = Buffer.from([
    0,
    random.pick([1, 2, 6, 28, 33, 251, 252, 255, random.below(256)]),
    0,
    random.pick([1, 1, 1, 255, 3]),
  ]);
  const opt = Buffer.from([
    0,
    0,
    41,
    random.below(256),
    random.below(256),
    0,
    random.below(2),
    0,
    0,
    0,
    random.below(3),
  ]);
  return Buffer.concat([
    header,
    ...labels,
    end,
    type,
    random.chance(50) ? opt : Buffer.alloc(0),
    randomBytes(random, random.chance(20) ? 40 : 1),
  ]);
}

/** Whatever comes over UDP or TCP: answered with a packet that others can read and that fits, or not at all. */
const query: FuzzTarget = {
  generate,
  run: (input) => {
    const parsed = parseDnsMessage(input);
    if (parsed.t === "ignore") return "ignored";
    if (parsed.t === "refuse") {
      dnsPacket.decode(encodeRefusal(parsed));
      return `refused ${parsed.rcode}`;
    }
    const answer = answerQuery(zone, parsed.query);
    for (const via of ["udp", "tcp"] as const) {
      const packet = encodeResponse(parsed.query, answer, via);
      const read = dnsPacket.decode(packet);
      if (read.id !== parsed.query.id) throw new Error("another id");
      if (via === "udp" && packet.length > largestUdp) throw new Error(`${packet.length} bytes over UDP`);
    }
    dnsPacket.decode(encodeComeByTcp(parsed.query));
    const { type, edns } = parsed.query;
    return `${answer.rcode} ${answer.answers.length} ${type} ${edns?.version} ${parsed.query.name.length > 0}`;
  },
};

export const targets: Readonly<Record<string, FuzzTarget>> = { query };
