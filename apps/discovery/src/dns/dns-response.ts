import type { Answer } from "dns-packet";
import dnsPacket from "dns-packet";
import type { DnsAnswer } from "./dns-answer.ts";
import { type DnsQuery, headerBytes } from "./dns-query.ts";

/** Our largest datagram: fits an IPv6 packet without fragments (DNS flag day 2020). */
const maxUdpBytes = 1_232;
/** Without EDNS nobody takes more (RFC 1035 section 2.3.4). */
const plainUdpBytes = 512;
const maxTcpBytes = 65_535;

/**
 * Makes the packet: the question as it came, records without name compression (SRV targets must not have it, and old
 * stubs choke on it), an OPT record if the query had one. What does not fit a datagram loses its additional records
 * first and then all records, with TC set, so that the client comes back over TCP.
 */
export function encodeResponse(query: DnsQuery, answer: DnsAnswer, via: "udp" | "tcp"): Buffer {
  const limit = via === "tcp" ? maxTcpBytes : udpLimit(query);
  const whole = encode(query, answer, false);
  if (whole.length <= limit) return whole;
  const needed = encode(query, { ...answer, additionals: [] }, false);
  if (needed.length <= limit) return needed;
  return encode(query, { ...answer, answers: [], authorities: [], additionals: [] }, true);
}

/** A refusal of something in which no question could be read: a bare header. */
export function encodeRefusal({ id, opcode, rcode }: { id: number; opcode: number; rcode: number }): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x8000 | (opcode << 11) | rcode, 2);
  return header;
}

/** An empty answer that says "ask again over TCP", for clients over their rate: useless to whoever forged their address. */
export function encodeComeByTcp(query: DnsQuery): Buffer {
  return encode(
    query,
    { rcode: 0, isAuthoritative: false, answers: [], authorities: [], additionals: [] },
    true,
  );
}

function udpLimit({ edns }: DnsQuery): number {
  return edns === undefined ? plainUdpBytes : Math.min(maxUdpBytes, Math.max(plainUdpBytes, edns.udpBytes));
}

function encode(query: DnsQuery, answer: DnsAnswer, isTruncated: boolean): Buffer {
  const additionals: Answer[] = [...answer.additionals];
  if (query.edns !== undefined) additionals.push(optRecord(answer.rcode >> 4));
  const records = dnsPacket
    .encode({
      type: "response",
      answers: [...answer.answers],
      authorities: [...answer.authorities],
      additionals,
    })
    .subarray(headerBytes);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(flagsOf(query, answer, isTruncated), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answer.answers.length, 6);
  header.writeUInt16BE(answer.authorities.length, 8);
  header.writeUInt16BE(additionals.length, 10);
  return Buffer.concat([header, query.question, records]);
}

// RFC 1035 section 4.1.1: QR AA TC RD RA, rcode. RA stays 0: we answer for our zone and for nothing else.
function flagsOf(query: DnsQuery, { rcode, isAuthoritative }: DnsAnswer, isTruncated: boolean): number {
  return (
    0x8000 |
    (isAuthoritative ? 0x0400 : 0) |
    (isTruncated ? 0x0200 : 0) |
    (query.isRecursionDesired ? 0x0100 : 0) |
    (rcode & 0xf)
  );
}

function optRecord(extendedRcode: number): Answer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize: maxUdpBytes,
    extendedRcode,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}
