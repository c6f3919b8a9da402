import type { Clock } from "@etcd-edge/runtime";
import type { DnsClient } from "../dns/dns-client.ts";
import { lookupSrv, type SrvService } from "../dns/srv-lookup.ts";
import { type Endpoint, endpointUrl } from "../endpoint.ts";
import type { EndpointSet } from "../endpoint-set.ts";
import type { RandomSource } from "../picker.ts";
import type { ValidatedEndpoints } from "../validate-endpoints.ts";
import {
  createRefreshingSource,
  type LoadedEndpoints,
  type RefreshingSource,
  type RefreshOutcome,
} from "./refreshing-source.ts";

/** What there is to log on the way to a set. */
export type SrvEvent =
  | { readonly t: "discovered"; readonly endpoints: readonly Endpoint[] }
  | { readonly t: "validating"; readonly endpoints: readonly Endpoint[] }
  | { readonly t: "rejected"; readonly endpoints: readonly Endpoint[]; readonly errors: readonly string[] }
  | { readonly t: "validated"; readonly endpoints: readonly Endpoint[] };

export type SrvSourceOptions = {
  readonly client: DnsClient;
  readonly service?: SrvService;
  readonly domain: string;
  readonly serviceName?: string;
  /** Keeps the trustworthy ones. Absent: all are taken (`--insecure-discovery`). */
  readonly validate?:
    | ((endpoints: readonly Endpoint[], signal: AbortSignal) => Promise<ValidatedEndpoints>)
    | undefined;
  /** Bounds of the time between two lookups, whatever the TTL says. Defaults 1000 and 300,000. */
  readonly minRefreshMs?: number;
  readonly maxRefreshMs?: number;
  readonly onEvent?: ((event: SrvEvent) => void) | undefined;
  readonly onOutcome?: ((outcome: RefreshOutcome) => void) | undefined;
  readonly clock?: Clock;
  readonly random?: RandomSource;
};

/** Some targets did not pass validation: look again soon rather than in a TTL, they may just have been down. */
const retryRejectedMs = 5_000;

/**
 * Endpoints from SRV records, looked up again when their TTL ends. A lookup that fails in whole or part leaves the set
 * as it is. An endpoint once validated stays so while SRV names it: being down later is for health checks to find.
 */
export function createSrvSource(options: SrvSourceOptions): RefreshingSource {
  const { client, service = "etcd-client", domain, serviceName = "", validate, onEvent } = options;
  const { minRefreshMs = 1_000, maxRefreshMs = 300_000 } = options;
  let trusted: ReadonlySet<string> = new Set();
  let announced = "";

  const load = async (current: EndpointSet, signal: AbortSignal): Promise<LoadedEndpoints> => {
    const { endpoints, ttlSeconds, isComplete } = await lookupSrv(client, service, {
      domain,
      serviceName,
      signal,
    });
    if (!isComplete && current.version > 0)
      return { endpoints: current.endpoints, refreshInMs: retryRejectedMs };
    const text = endpoints.map(endpointUrl).sort().join();
    if (text !== announced) onEvent?.({ t: "discovered", endpoints });
    announced = text;
    const refreshInMs = Math.min(maxRefreshMs, Math.max(minRefreshMs, ttlSeconds * 1_000));
    if (validate === undefined) return { endpoints, refreshInMs };

    const strangers = endpoints.filter((endpoint) => !trusted.has(endpointUrl(endpoint)));
    if (strangers.length === 0) {
      trusted = new Set(endpoints.map(endpointUrl)); // who left has to prove itself again
      return { endpoints, refreshInMs };
    }
    onEvent?.({ t: "validating", endpoints: strangers });
    const { endpoints: proven, errors } = await validate(strangers, signal);
    const provenUrls = new Set(proven.map(endpointUrl));
    const kept = endpoints.filter(
      (endpoint) => trusted.has(endpointUrl(endpoint)) || provenUrls.has(endpointUrl(endpoint)),
    );
    trusted = new Set(kept.map(endpointUrl));
    if (errors.length > 0) onEvent?.({ t: "rejected", endpoints: strangers, errors });
    onEvent?.({ t: "validated", endpoints: kept });
    return {
      endpoints: kept,
      refreshInMs: errors.length > 0 ? Math.min(refreshInMs, retryRejectedMs) : refreshInMs,
    };
  };

  return createRefreshingSource({
    load,
    onOutcome: options.onOutcome,
    clock: options.clock,
    random: options.random,
  });
}
