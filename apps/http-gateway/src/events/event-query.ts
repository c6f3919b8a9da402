import {
  GrpcStatus,
  type MessageInitShape,
  WatchCreateRequest_FilterType,
  type WatchCreateRequestSchema,
} from "@etcd-edge/proto";
import { UpstreamError } from "../upstream/upstream.ts";

type WatchCreate = MessageInitShape<typeof WatchCreateRequestSchema>;

/** What a client of the event stream watches: one create request for each range, in the order of the query. */
export interface EventQuery {
  readonly watches: readonly (WatchCreate & { readonly key: Uint8Array })[];
}

/** More on one connection would be asked for by mistake. */
const maxRanges = 100;
const allKeys = Uint8Array.of(0);
const known: ReadonlySet<string> = new Set([
  "key",
  "prefix",
  "start_revision",
  "prev_kv",
  "filters",
  "last_event_id",
]);

/**
 * Reads the query of `GET /v3/watch`: `key=` and `prefix=`, as often as wanted, as text (percent-encoded bytes are taken as they
 * are); `start_revision=`, `prev_kv=true`, `filters=NOPUT|NODELETE` for all of them. An empty prefix is every key.
 *
 * @param search from the question mark on, or nothing
 * @param lastEventId of the stream that this one goes on with: the header of that name; the parameter counts where there is none
 * @throws UpstreamError INVALID_ARGUMENT, which names the parameter
 */
export function readEventQuery(search: string, lastEventId: string | undefined): EventQuery {
  const pairs = splitPairs(search);
  for (const { name } of pairs)
    if (!known.has(name)) throw invalid(`unknown parameter ${JSON.stringify(name)}`);
  const ranges = pairs.flatMap(({ name, value }) => toRange(name, value));
  if (ranges.length === 0) throw invalid("key or prefix is missing");
  if (ranges.length > maxRanges)
    throw invalid(`key and prefix are given more than ${maxRanges} times in all`);
  const last = (wanted: string): string | undefined =>
    pairs.findLast(({ name }) => name === wanted)?.value.toString();
  const starts = readStarts(lastEventId ?? last("last_event_id"), last("start_revision"), ranges.length);
  const prevKv = readFlag("prev_kv", last("prev_kv"));
  const filters = pairs
    .filter(({ name }) => name === "filters")
    .map(({ value }) => readFilter(value.toString()));
  return {
    watches: ranges.map((range, index) => ({
      ...range,
      watchId: BigInt(index),
      startRevision: starts[index] ?? 0n,
      prevKv,
      filters,
    })),
  };
}

interface Pair {
  readonly name: string;
  readonly value: Buffer;
}

/** Not URLSearchParams, which replaces bytes that are no UTF-8: keys are bytes. */
function splitPairs(search: string): Pair[] {
  const text = search.startsWith("?") ? search.slice(1) : search;
  return text
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      const name = equals < 0 ? part : part.slice(0, equals);
      return { name: decode(name).toString(), value: decode(equals < 0 ? "" : part.slice(equals + 1)) };
    });
}

function decode(text: string): Buffer {
  const parts = text.replaceAll("+", " ").split(/%([0-9a-fA-F]{2})/);
  return Buffer.concat(parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from(part, "hex"))));
}

function toRange(name: string, value: Buffer): { key: Uint8Array; rangeEnd?: Uint8Array }[] {
  if (name === "key") {
    if (value.length === 0) throw invalid("key is empty");
    return [{ key: value }];
  }
  if (name !== "prefix") return [];
  if (value.length === 0) return [{ key: allKeys, rangeEnd: allKeys }];
  const last = value.findLastIndex((byte) => byte !== 0xff);
  if (last < 0) return [{ key: value, rangeEnd: allKeys }];
  const rangeEnd = Buffer.from(value.subarray(0, last + 1));
  rangeEnd[last] = (rangeEnd[last] ?? 0) + 1;
  return [{ key: value, rangeEnd }];
}

/** A stream goes on one revision after what its client has seen, for each range or for all alike. */
function readStarts(lastEventId: string | undefined, start: string | undefined, count: number): bigint[] {
  if (lastEventId !== undefined && lastEventId !== "") {
    const seen = lastEventId.split(",").map((text) => readRevision("Last-Event-ID", text));
    if (seen.length !== 1 && seen.length !== count)
      throw invalid(`Last-Event-ID has ${seen.length} revisions for ${count} ranges`);
    return Array.from({ length: count }, (_, index) => (seen[index] ?? seen[0] ?? 0n) + 1n);
  }
  const revision = start === undefined ? 0n : readRevision("start_revision", start);
  return Array.from({ length: count }, () => revision);
}

function readRevision(name: string, text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw invalid(`${name} is no revision: ${JSON.stringify(text)}`);
  return BigInt(text);
}

function readFlag(name: string, text: string | undefined): boolean {
  if (text === undefined || text === "false") return false;
  if (text === "true" || text === "") return true;
  throw invalid(`${name} must be true or false`);
}

function readFilter(text: string): WatchCreateRequest_FilterType {
  if (text === "NOPUT") return WatchCreateRequest_FilterType.NOPUT;
  if (text === "NODELETE") return WatchCreateRequest_FilterType.NODELETE;
  throw invalid("filters must be NOPUT or NODELETE");
}

function invalid(message: string): UpstreamError {
  return new UpstreamError({ status: GrpcStatus.INVALID_ARGUMENT, message, origin: "local" });
}
