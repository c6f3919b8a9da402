import { randomInt } from "node:crypto";
import { getServers } from "node:dns";
import type { DecodedPacket, RecordType } from "dns-packet";
import dnsPacket from "dns-packet";
import { exchangeOverTcp, exchangeOverUdp, type ResolverAddress } from "./dns-exchange.ts";

export type DnsErrorCode =
  /** The name does not exist, or has no records of this type. Final: asking again soon gives the same. */
  | "not-found"
  /** The server could not or would not say (SERVFAIL, REFUSED, …). */
  | "server-failure"
  /** Nobody answered in time, or the network said no. */
  | "unreachable";

/** A lookup that gave no records. The message is in the words of Go's resolver, which etcd's users know. */
export class DnsError extends Error {
  override readonly name = "DnsError";
  readonly code: DnsErrorCode;
  /** How long the absence may be believed (RFC 2308), if the server said. */
  readonly negativeTtlSeconds: number | undefined;

  constructor(
    code: DnsErrorCode,
    message: string,
    options: { negativeTtlSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.negativeTtlSeconds = options.negativeTtlSeconds;
  }
}

export type DnsClientOptions = {
  /** Resolvers as `ip`, `ip:port` or `[v6]:port`. Default: the system's. */
  readonly resolvers?: readonly string[] | undefined;
  /** Wait for one answer of one resolver. Default 2000. */
  readonly timeoutMs?: number | undefined;
  /** How often the whole list of resolvers is gone through. Default 2. */
  readonly rounds?: number | undefined;
};

/**
 * Asks recursive resolvers, over UDP and, when the answer is truncated, over TCP. It exists because `node:dns` does not
 * tell the TTL of SRV records. Names are taken as absolute; nothing is cached.
 */
export class DnsClient {
  readonly #resolvers: readonly string[] | undefined;
  readonly #timeoutMs: number;
  readonly #rounds: number;

  constructor({ resolvers, timeoutMs = 2_000, rounds = 2 }: DnsClientOptions = {}) {
    this.#resolvers = resolvers;
    this.#timeoutMs = timeoutMs;
    this.#rounds = rounds;
  }

  /** The response (never truncated, rcode NOERROR, may have no answers). Throws {@link DnsError}, or the abort reason. */
  async query(name: string, type: RecordType, signal?: AbortSignal): Promise<DecodedPacket> {
    let lastError = new DnsError("unreachable", `lookup ${name}: no DNS server is configured`);
    const resolvers = (this.#resolvers ?? getServers()).map(toResolverAddress);
    for (let round = 0; round < this.#rounds; round += 1) {
      for (const resolver of resolvers) {
        try {
          return await this.#ask(resolver, name, type, signal);
        } catch (error) {
          signal?.throwIfAborted();
          lastError = toDnsError(error, name, resolver);
          if (lastError.code === "not-found") throw lastError;
        }
      }
    }
    throw lastError;
  }

  async #ask(
    resolver: ResolverAddress,
    name: string,
    type: RecordType,
    signal: AbortSignal | undefined,
  ): Promise<DecodedPacket> {
    const question = { id: randomInt(0x1_0000), name: name.replace(/\.$/, ""), type };
    const query = encodeQuery(question);
    const limits = { timeoutMs: this.#timeoutMs, ...(signal === undefined ? {} : { signal }) };
    const isAnswer = (packet: DecodedPacket): boolean => answersQuestion(packet, question);
    let response = await exchangeOverUdp(resolver, query, { ...limits, isAnswer });
    if (response.flag_tc) response = await exchangeOverTcp(resolver, query, { ...limits, isAnswer });
    const rcode = rcodeOf(response);
    if (rcode === 0) return response;
    const where = `lookup ${name} on ${resolver.text}`;
    throw rcode === 3
      ? new DnsError("not-found", `${where}: no such host`, negativeTtl(response))
      : new DnsError("server-failure", `${where}: server misbehaving`);
  }
}

type Question = { readonly id: number; readonly name: string; readonly type: RecordType };

function encodeQuery({ id, name, type }: Question): Buffer {
  const opt = {
    type: "OPT" as const,
    name: ".",
    udpPayloadSize: 1232, // DNS flag day 2020: fits an IPv6 packet without fragments
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return dnsPacket.encode({
    type: "query",
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    additionals: [opt],
  });
}

/** RFC 5452 section 9: an answer counts only if id and question are those of the query. */
function answersQuestion(packet: DecodedPacket, { id, name, type }: Question): boolean {
  const [asked] = packet.questions ?? [];
  return (
    packet.flag_qr &&
    packet.id === id &&
    asked !== undefined &&
    asked.type === type &&
    asked.name.toLowerCase() === name.toLowerCase()
  );
}

function rcodeOf(packet: DecodedPacket): number {
  return (packet.flags ?? 0) & 0xf;
}

/** RFC 2308 section 5: the smaller of the SOA record's own TTL and its minimum field. */
export function negativeTtl(packet: DecodedPacket): { negativeTtlSeconds?: number } {
  const soa = (packet.authorities ?? []).find((record) => record.type === "SOA");
  if (soa?.type !== "SOA") return {};
  return { negativeTtlSeconds: Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0) };
}

function toDnsError(error: unknown, name: string, resolver: ResolverAddress): DnsError {
  if (error instanceof DnsError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new DnsError("unreachable", `lookup ${name} on ${resolver.text}: ${reason}`, { cause: error });
}

function toResolverAddress(text: string): ResolverAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? text; // a bare IPv6 address matches nothing
  const port = Number(match?.[3] ?? 53);
  return { host, port, text: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}` };
}
