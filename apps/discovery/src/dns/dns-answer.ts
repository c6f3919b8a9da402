import type { Answer } from "dns-packet";
import type { DnsQuery } from "./dns-query.ts";
import { isInZone, type Zone, type ZoneNode } from "./zone.ts";

const Rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;

/** What is said to a query, before it is made to fit a packet. */
export type DnsAnswer = {
  /** 12 bits with EDNS, see RFC 6891. */
  readonly rcode: number;
  readonly isAuthoritative: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  /** Nice to have: left out first when there is no room. */
  readonly additionals: readonly Answer[];
};

// RFC 1035 section 3.2.2 and 3.2.3, RFC 3596, RFC 2782
const Type = { a: 1, ns: 2, soa: 6, aaaa: 28, srv: 33, ixfr: 251, axfr: 252, any: 255 } as const;
const classIn = 1;
const classAny = 255;

/**
 * Answers one question from one zone, as the zone's authority. Pure.
 *
 * @param turn by how many places records of one name are turned: Go keeps the order of records without weights, Node that of
 *   all, and programs that use the first only would all meet there
 */
export function answerQuery(zone: Zone, query: DnsQuery, turn = 0): DnsAnswer {
  if (query.edns !== undefined && query.edns.version > 0) return failure(Rcode.badVersion);
  const isOurs = (query.class === classIn || query.class === classAny) && isInZone(zone, query.name);
  if (!isOurs || query.type === Type.axfr || query.type === Type.ixfr) return failure(Rcode.refused);
  const node = zone.nodes.get(query.name);
  if (node === undefined) return absence(zone, Rcode.nameError);
  const answers = turned(recordsOf(zone, node, query), turn);
  if (answers.length === 0) return absence(zone, Rcode.noError);
  return {
    rcode: Rcode.noError,
    isAuthoritative: true,
    answers,
    authorities: [],
    // Members on one host are one target, whose addresses are told once (RFC 2181 section 5).
    additionals: [...new Set(answers.map(targetOf))].flatMap((target) => addressesOf(zone, target)),
  };
}

function recordsOf(zone: Zone, node: ZoneNode, { asked, type }: DnsQuery): Answer[] {
  const owned = { name: asked, ttl: zone.ttlSeconds };
  switch (type) {
    case Type.srv:
      return (node.srv ?? []).map((data) => ({ ...owned, type: "SRV", data }));
    case Type.a:
      return (node.a ?? []).map((data) => ({ ...owned, type: "A", data }));
    case Type.aaaa:
      return (node.aaaa ?? []).map((data) => ({ ...owned, type: "AAAA", data }));
    case Type.ns:
      return (node.ns ?? []).map((data) => ({ ...owned, type: "NS", data }));
    case Type.soa:
      return node.soa === undefined ? [] : [{ ...owned, type: "SOA", data: node.soa }];
    case Type.any:
      return [{ ...owned, type: "HINFO", data: { cpu: "RFC8482", os: "" } }];
    default:
      return [];
  }
}

function turned<T>(records: readonly T[], turn: number): readonly T[] {
  const start = records.length === 0 ? 0 : turn % records.length;
  return [...records.slice(start), ...records.slice(0, start)];
}

function targetOf(answer: Answer): string | undefined {
  return answer.type === "SRV" ? answer.data.target : answer.type === "NS" ? answer.data : undefined;
}

/** Addresses of a target, so that a client who trusts them need not ask again. */
function addressesOf(zone: Zone, target: string | undefined): Answer[] {
  const node = target === undefined ? undefined : zone.nodes.get(target.toLowerCase());
  if (target === undefined || node === undefined) return [];
  const owned = { name: target, ttl: zone.ttlSeconds };
  return [
    ...(node.a ?? []).map((data): Answer => ({ ...owned, type: "A", data })),
    ...(node.aaaa ?? []).map((data): Answer => ({ ...owned, type: "AAAA", data })),
  ];
}

/** Nothing there: the SOA says how long that may be believed (RFC 2308). */
function absence(zone: Zone, rcode: number): DnsAnswer {
  const soa = zone.nodes.get(zone.origin)?.soa;
  const authorities: Answer[] =
    soa === undefined ? [] : [{ type: "SOA", name: zone.origin, ttl: zone.ttlSeconds, data: soa }];
  return { rcode, isAuthoritative: true, answers: [], authorities, additionals: [] };
}

function failure(rcode: number): DnsAnswer {
  return { rcode, isAuthoritative: false, answers: [], authorities: [], additionals: [] };
}
