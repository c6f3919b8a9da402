import type { LookupAddress } from "node:dns";
import { type DnsClient, DnsError } from "./dns-client.ts";

/** All addresses of a name, asked of the client's resolvers. @throws DnsError where there are none, or nobody tells any */
export async function lookupAddresses(client: DnsClient, host: string): Promise<LookupAddress[]> {
  const asked = await Promise.allSettled([client.query(host, "A"), client.query(host, "AAAA")]);
  const found = asked.flatMap((outcome) =>
    outcome.status === "rejected" ? [] : (outcome.value.answers ?? []),
  );
  const addresses = found.flatMap((record): LookupAddress[] => {
    if (record.type === "A") return [{ address: record.data, family: 4 }];
    return record.type === "AAAA" ? [{ address: record.data, family: 6 }] : []; // CNAMEs on the way
  });
  if (addresses.length > 0) return addresses;
  const failure = asked.find((outcome) => outcome.status === "rejected");
  throw failure?.reason ?? new DnsError("not-found", `lookup ${host}: no such host`);
}
