import type { DecodedPacket } from "dns-packet";
import type { Endpoint } from "../endpoint.ts";
import { type DnsClient, DnsError, negativeTtl } from "./dns-client.ts";

export type SrvService = "etcd-client" | "etcd-server";

export type SrvLookup = {
  /** TLS records first, then cleartext ones, as etcd lists them. Targets keep their trailing dot. */
  readonly endpoints: readonly Endpoint[];
  /** The smallest TTL of all that was used, the absence of one of the two names included. */
  readonly ttlSeconds: number;
  /** False if one of the two names could not be asked, so that endpoints may be missing. */
  readonly isComplete: boolean;
};

type NameLookup = Omit<SrvLookup, "isComplete">;

/** Both names gave nothing. The message is etcd's. */
export class SrvLookupError extends Error {
  override readonly name = "SrvLookupError";
  /** True if DNS said that there is nothing, false if DNS could not be asked. */
  readonly isFinal: boolean;

  constructor(errors: readonly unknown[]) {
    super(
      `dns lookup errors: ${errors.map((error) => (error instanceof Error ? error.message : error)).join(" and ")}`,
    );
    this.isFinal = errors.every(isAbsence);
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof DnsError && error.code === "not-found";
}

/** How long the absence of a name is believed if the zone's SOA does not say. */
const defaultNegativeTtlSeconds = 30;

/** `_etcd-client-ssl-<name>._tcp.<domain>` and its like: hyphens inside the label, no suffix when `serviceName` is empty. */
export function srvRecordName(
  service: SrvService,
  { isTls, serviceName = "", domain }: { isTls: boolean; serviceName?: string; domain: string },
): string {
  const suffix = serviceName === "" ? "" : `-${serviceName}`;
  return `_${service}${isTls ? "-ssl" : ""}${suffix}._tcp.${domain}`;
}

/**
 * Looks up `_<service>-ssl` (scheme https) and `_<service>` (scheme http) of a domain, always both; it fails only if
 * both fail. A target of "." says that the service is not offered (RFC 2782) and is left out.
 * Throws {@link SrvLookupError} or the abort reason.
 */
export async function lookupSrv(
  client: DnsClient,
  service: SrvService,
  { domain, serviceName, signal }: { domain: string; serviceName?: string; signal?: AbortSignal },
): Promise<SrvLookup> {
  const [tls, plain] = await Promise.allSettled(
    [true, false].map((isTls) => {
      const name = srvRecordName(service, {
        isTls,
        domain,
        ...(serviceName === undefined ? {} : { serviceName }),
      });
      return lookupName(client, name, {
        scheme: isTls ? "https" : "http",
        ...(signal === undefined ? {} : { signal }),
      });
    }),
  );
  signal?.throwIfAborted();
  const outcomes = [tls, plain].filter((outcome) => outcome !== undefined);
  const found = outcomes.filter((outcome) => outcome.status === "fulfilled").map(({ value }) => value);
  const errors = outcomes.filter((outcome) => outcome.status === "rejected").map(({ reason }) => reason);
  if (found.length === 0) throw new SrvLookupError(errors);
  return {
    endpoints: found.flatMap(({ endpoints }) => endpoints),
    ttlSeconds: Math.min(...found.map(({ ttlSeconds }) => ttlSeconds), ...errors.map(absenceTtl)),
    isComplete: errors.every(isAbsence),
  };
}

function absenceTtl(error: unknown): number {
  return (error instanceof DnsError ? error.negativeTtlSeconds : undefined) ?? defaultNegativeTtlSeconds;
}

async function lookupName(
  client: DnsClient,
  name: string,
  { scheme, signal }: { scheme: "http" | "https"; signal?: AbortSignal },
): Promise<NameLookup> {
  const response = await client.query(name, "SRV", signal);
  const found = toEndpoints(response, scheme);
  if (found.endpoints.length > 0) return found;
  throw new DnsError("not-found", `lookup ${name}: no such host`, negativeTtl(response));
}

function toEndpoints(response: DecodedPacket, scheme: "http" | "https"): NameLookup {
  const endpoints: Endpoint[] = [];
  const ttls: number[] = [];
  for (const record of response.answers ?? []) {
    if (record.type !== "SRV") continue; // CNAMEs on the way
    const { target, port, priority = 0, weight = 0 } = record.data;
    if (target === "." || target === "" || port === 0) continue;
    ttls.push(record.ttl ?? 0);
    endpoints.push({ scheme, host: `${target.replace(/\.$/, "")}.`, port, priority, weight });
  }
  return { endpoints, ttlSeconds: Math.min(...ttls) };
}
