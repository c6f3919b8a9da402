/** What a replica of a tier tells of itself. */
export type Presence = {
  /** One start of one process; told apart from its successor under the same name. */
  readonly id: string;
  /** `grpc-proxy`, `http-gateway`, `tcp-gateway`, `discovery`. */
  readonly tier: string;
  /** Of its host, for people. */
  readonly name: string;
  /** Where clients reach it: `host:port`, or a URL. Nothing where it is not to be found. */
  readonly url?: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  /** Why it should get no new clients, where it should not: `draining`, or what `/readyz` says. */
  readonly notReady?: string;
  /** So long this may be believed without a newer one, in milliseconds; 0 for a replica that leaves. */
  readonly ttlMs: number;
  /** Counts for people and dashboards: `feeds`, `client watches`, … */
  readonly stats: Readonly<Record<string, number>>;
};

/** Told apart by readers of other releases; they ignore what they do not know. */
const formatVersion = 1;
const maxTtlMs = 3_600_000;
const maxStats = 100;
const maxText = 512;

export function encodePresence(presence: Presence): Uint8Array {
  return Buffer.from(JSON.stringify({ v: formatVersion, ...presence }));
}

/** Undefined for anything that is no presence of this format: it comes from the network. */
export function decodePresence(data: Uint8Array): Presence | undefined {
  const parsed = parseJson(data);
  if (!isRecord(parsed) || parsed["v"] !== formatVersion) return undefined;
  const { id, tier, name, url, version, uptimeSeconds, notReady, ttlMs, stats } = parsed;
  if (!isText(id) || id === "" || !isTierName(tier) || !isText(name) || !isText(version)) return undefined;
  if (url !== undefined && (!isText(url) || url === "")) return undefined;
  if (notReady !== undefined && !isText(notReady)) return undefined;
  if (!isCount(ttlMs) || ttlMs > maxTtlMs || !isCount(uptimeSeconds) || !isStats(stats)) return undefined;
  return {
    id,
    tier,
    name,
    version,
    uptimeSeconds,
    ttlMs,
    stats,
    ...(url === undefined ? {} : { url }),
    ...(notReady === undefined ? {} : { notReady }),
  };
}

/** A tier's name is a label of DNS. */
function isTierName(value: unknown): value is string {
  return typeof value === "string" && /^[a-z][a-z0-9-]{0,30}$/.test(value);
}

function isStats(value: unknown): value is Readonly<Record<string, number>> {
  if (!isRecord(value)) return false;
  const entries = Object.entries(value);
  return (
    entries.length <= maxStats && entries.every(([name, count]) => isText(name) && Number.isFinite(count))
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= maxText;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined; // not ours
  }
}
