import {
  type MessageInitShape,
  WatchCreateRequest_FilterType,
  type WatchCreateRequestSchema,
} from "@etcd-edge/proto";
import { readFlag, styleParameters } from "../http/call-style.ts";
import { invalidParameter } from "../http/invalid-parameter.ts";
import { toPrefixRange } from "../http/key-range.ts";
import { type QueryPair, splitQuery } from "../http/query.ts";

type WatchCreate = MessageInitShape<typeof WatchCreateRequestSchema>;

/** What a client of the event stream watches: one create request for each range, in the order of the query. */
export interface EventQuery {
  readonly watches: readonly (WatchCreate & { readonly key: Uint8Array })[];
}

/** More on one connection would be asked for by mistake. */
const maxRanges = 100;
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
  const pairs = splitQuery(search);
  for (const { name } of pairs)
    if (!known.has(name) && !styleParameters.has(name))
      throw invalidParameter(name, `unknown parameter ${JSON.stringify(name)}`);
  const ranges = pairs.flatMap(toRange);
  if (ranges.length === 0) throw invalidParameter("key", "key or prefix is missing");
  if (ranges.length > maxRanges)
    throw invalidParameter("key", `key and prefix are given more than ${maxRanges} times in all`);
  const last = (wanted: string): string | undefined =>
    pairs.findLast(({ name }) => name === wanted)?.value.toString();
  const starts = readStarts(lastEventId ?? last("last_event_id"), last("start_revision"), ranges.length);
  const prevKv = readFlag("prev_kv", last("prev_kv") ?? "false");
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

function toRange({ name, value }: QueryPair): { key: Uint8Array; rangeEnd?: Uint8Array }[] {
  if (name === "prefix") return [toPrefixRange(value)];
  if (name !== "key") return [];
  if (value.length === 0) throw invalidParameter("key", "key is empty");
  return [{ key: value }];
}

/** A stream goes on one revision after what its client has seen, for each range or for all alike. */
function readStarts(lastEventId: string | undefined, start: string | undefined, count: number): bigint[] {
  if (lastEventId !== undefined && lastEventId !== "") {
    const seen = lastEventId.split(",").map((text) => readRevision("last_event_id", "Last-Event-ID", text));
    if (seen.length !== 1 && seen.length !== count)
      throw invalidParameter(
        "last_event_id",
        `Last-Event-ID has ${seen.length} revisions for ${count} ranges`,
      );
    return Array.from({ length: count }, (_, index) => (seen[index] ?? seen[0] ?? 0n) + 1n);
  }
  const revision = start === undefined ? 0n : readRevision("start_revision", "start_revision", start);
  return Array.from({ length: count }, () => revision);
}

function readRevision(parameter: string, name: string, text: string): bigint {
  if (!/^\d{1,18}$/.test(text))
    throw invalidParameter(parameter, `${name} is no revision: ${JSON.stringify(text)}`);
  return BigInt(text);
}

function readFilter(text: string): WatchCreateRequest_FilterType {
  if (text === "NOPUT") return WatchCreateRequest_FilterType.NOPUT;
  if (text === "NODELETE") return WatchCreateRequest_FilterType.NODELETE;
  throw invalidParameter("filters", "filters must be NOPUT or NODELETE");
}
