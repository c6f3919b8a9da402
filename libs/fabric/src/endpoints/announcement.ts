/** One upstream as a replica of discovery announces it. */
export type AnnouncedEndpoint = {
  /** `scheme://host:port`, or `host:port` when nothing is known of the scheme. */
  readonly url: string;
  readonly priority: number;
  readonly weight: number;
  /** The member's name, where known. */
  readonly name?: string;
  /** Whether the announcing replica would use it. */
  readonly alive: boolean;
};

/** What one replica knows of one cluster at one moment. */
export type Announcement = {
  readonly cluster: string;
  /** The replica; a new one with every start. */
  readonly publisher: string;
  /** Grows with every change at this publisher. */
  readonly version: number;
  /** So long this may be believed without a newer one. */
  readonly ttlMs: number;
  readonly endpoints: readonly AnnouncedEndpoint[];
};

/** Told apart by readers of other releases; they ignore what they do not know. */
const formatVersion = 1;
const maxEndpoints = 10_000;
const maxTtlMs = 3_600_000;

export function encodeAnnouncement(announcement: Announcement): Uint8Array {
  return Buffer.from(JSON.stringify({ v: formatVersion, ...announcement }));
}

/** Undefined for anything that is not an announcement of this format: it comes from the network. */
export function decodeAnnouncement(data: Uint8Array): Announcement | undefined {
  const parsed = parseJson(data);
  if (!isRecord(parsed) || parsed["v"] !== formatVersion) return undefined;
  const { cluster, publisher, version, ttlMs, endpoints } = parsed;
  if (typeof cluster !== "string" || typeof publisher !== "string" || publisher === "") return undefined;
  if (!isCount(version) || !isCount(ttlMs) || ttlMs > maxTtlMs) return undefined;
  if (!Array.isArray(endpoints) || endpoints.length > maxEndpoints) return undefined;
  const decoded = endpoints.map(toEndpoint);
  if (decoded.includes(undefined)) return undefined;
  return { cluster, publisher, version, ttlMs, endpoints: decoded.filter((one) => one !== undefined) };
}

function toEndpoint(value: unknown): AnnouncedEndpoint | undefined {
  if (!isRecord(value)) return undefined;
  const { url, priority, weight, name, alive } = value;
  if (typeof url !== "string" || url === "" || typeof alive !== "boolean") return undefined;
  if (!isUint16(priority) || !isUint16(weight)) return undefined;
  if (name !== undefined && typeof name !== "string") return undefined;
  return { url, priority, weight, alive, ...(name === undefined ? {} : { name }) };
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined; // not ours
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isUint16(value: unknown): value is number {
  return isCount(value) && value <= 65_535;
}
