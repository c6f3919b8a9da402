import type { Clock } from "@etcd-edge/runtime";
import type { Endpoint } from "../endpoint.ts";
import type { EndpointSet } from "../endpoint-set.ts";
import { parseEndpoint } from "../parse-endpoints.ts";
import type { RandomSource } from "../picker.ts";
import {
  createRefreshingSource,
  type LoadedEndpoints,
  type RefreshingSource,
  type RefreshOutcome,
} from "./refreshing-source.ts";

export type DiscoverySourceOptions = {
  /** Base URLs of the HTTP APIs of replicas of discovery; the first that answers is listened to. */
  readonly urls: readonly string[];
  /** Whose endpoints: `members` of etcd, or a tier. Default `members`. */
  readonly tier?: string;
  /** How long one request waits for a change. Default 30,000. */
  readonly waitMs?: number;
  readonly onOutcome?: (outcome: RefreshOutcome) => void;
  readonly clock?: Clock;
  readonly random?: RandomSource;
};

/** A replica that says nothing so long after the wait is over is taken for dead. */
const answerTimeoutMs = 5_000;
const maxBodyBytes = 4 * 1024 * 1024;

/**
 * The endpoint set that the discovery tier tells over HTTP, followed by long poll: a change is here as soon as discovery
 * knows it. Who is alive is left to the health checks of whoever uses the set.
 */
export function createDiscoverySource(options: DiscoverySourceOptions): RefreshingSource {
  const { urls, tier = "members", waitMs = 30_000, onOutcome, clock, random } = options;
  let etag: string | undefined;
  let preferred = 0;

  const load = async (current: EndpointSet, signal: AbortSignal): Promise<LoadedEndpoints> => {
    const errors: unknown[] = [];
    for (let tried = 0; tried < urls.length; tried += 1) {
      const url = urls[(preferred + tried) % urls.length] ?? "";
      try {
        const answer = await ask(url, { tier, etag, waitMs, signal });
        preferred = (preferred + tried) % urls.length;
        if (answer === "unchanged") return { endpoints: current.endpoints, refreshInMs: 0 };
        etag = answer.etag; // made of content: the same at every replica
        return { endpoints: answer.endpoints, refreshInMs: 0 };
      } catch (error) {
        signal.throwIfAborted();
        errors.push(error);
      }
    }
    throw new AggregateError(errors, "no replica of discovery told its endpoints");
  };
  return createRefreshingSource({ load, onOutcome, clock, random });
}

async function ask(
  url: string,
  {
    tier,
    etag,
    waitMs,
    signal,
  }: { tier: string; etag: string | undefined; waitMs: number; signal: AbortSignal },
): Promise<"unchanged" | { endpoints: Endpoint[]; etag: string | undefined }> {
  const query = new URLSearchParams({
    ...(tier === "members" ? {} : { tier }),
    ...(etag === undefined ? {} : { wait: `${Math.round(waitMs)}ms` }),
  });
  const response = await fetch(new URL(`/v1/endpoints${query.size === 0 ? "" : `?${query}`}`, url), {
    headers: etag === undefined ? {} : { "if-none-match": etag },
    signal: AbortSignal.any([signal, AbortSignal.timeout(waitMs + answerTimeoutMs)]),
  });
  const body = await response.text();
  if (response.status === 304) return "unchanged";
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  if (body.length > maxBodyBytes) throw new Error(`${url} answered too much`);
  const endpoints = parseAnswer(body);
  if (endpoints === undefined) throw new Error(`${url} answered something else than an endpoint set`);
  return { endpoints, etag: response.headers.get("etag") ?? undefined };
}

/** Undefined for what is not an endpoint set. Unknown fields are for newer readers. */
export function parseAnswer(body: string): Endpoint[] | undefined {
  const parsed = parseJson(body);
  const list = isRecord(parsed) ? parsed["endpoints"] : undefined;
  if (!Array.isArray(list)) return undefined;
  const endpoints = list.map(toEndpoint);
  return endpoints.includes(undefined) ? undefined : endpoints.filter((one) => one !== undefined);
}

function toEndpoint(value: unknown): Endpoint | undefined {
  if (!isRecord(value) || typeof value["url"] !== "string") return undefined;
  const endpoint = parseEndpoint(value["url"]);
  if (typeof endpoint === "string") return undefined;
  const { priority, weight, name } = value;
  return {
    ...endpoint,
    priority: isUint16(priority) ? priority : 0,
    weight: isUint16(weight) ? weight : 0,
    ...(typeof name === "string" ? { name } : {}),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the caller says so
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isUint16(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535;
}
