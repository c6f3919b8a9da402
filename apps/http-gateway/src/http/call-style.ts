import type { BytesStyle } from "../json/json-style.ts";
import { invalidParameter } from "./invalid-parameter.ts";
import { type QueryPair, splitQuery } from "./query.ts";

/** What a request wants of its answer beyond what etcd knows of. Everything is off unless it is asked for. */
export interface CallStyle {
  readonly bytes: BytesStyle;
  /** Errors as problem details (RFC 9457), with the place in the request that is wrong. */
  readonly problems: boolean;
  /** Milliseconds between signs of life on a watch, where the client has a wish. */
  readonly heartbeatMs: number | undefined;
}

/** etcd's own door: what everybody gets who asks for nothing else. */
const plainStyle: CallStyle = { bytes: "base64", problems: false, heartbeatMs: undefined };

/** More often would be load for nothing, less often of no use to anybody. */
const heartbeatLimits = { minMs: 100, maxMs: 3_600_000 };

/** Parameters that are about how the answer is written, and not about what is asked. */
export const styleParameters: ReadonlySet<string> = new Set(["utf8", "heartbeat"]);

/** The header that does what the parameter `utf8` does. */
const utf8Header = "x-etcd-utf8";

/**
 * Reads `utf8`, `heartbeat` from the query and `X-Etcd-Utf8`, `Accept` from the headers. Other parameters are not looked at:
 * etcd's own door takes any.
 *
 * @param search from the question mark on, or nothing
 * @throws UpstreamError INVALID_ARGUMENT, which names the parameter
 */
export function readCallStyle(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  search: string,
): CallStyle {
  const problems = wantsProblems(headers);
  const header = headers[utf8Header];
  if (search === "" && header === undefined && !problems) return plainStyle;
  return { problems, ...readStyleParameters(splitQuery(search), String(header ?? "false")) };
}

/** Whether `Accept` names problem details. */
export function wantsProblems(headers: Readonly<Record<string, string | string[] | undefined>>): boolean {
  return /\bapplication\/problem\+json\b/i.test(String(headers["accept"] ?? ""));
}

function readStyleParameters(
  pairs: readonly QueryPair[],
  utf8Default: string,
): Pick<CallStyle, "bytes" | "heartbeatMs"> {
  const last = (wanted: string): string | undefined =>
    pairs.findLast(({ name }) => name === wanted)?.value.toString();
  const isText = readFlag("utf8", last("utf8") ?? utf8Default);
  const heartbeat = last("heartbeat");
  return {
    bytes: isText ? "utf8" : "base64",
    heartbeatMs: heartbeat === undefined ? undefined : readHeartbeat(heartbeat),
  };
}

/** A parameter without a value is meant. */
export function readFlag(name: string, text: string): boolean {
  if (text === "false") return false;
  if (text === "true" || text === "") return true;
  throw invalidParameter(name, `${name} must be true or false`);
}

/** Go's durations are what etcd's users write; whole and with one unit is enough here. */
function readHeartbeat(text: string): number {
  const [, digits, unit] = /^(\d{1,7})(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(digits) * (unit === "ms" ? 1 : unit === "s" ? 1_000 : 60_000);
  if (ms >= heartbeatLimits.minMs && ms <= heartbeatLimits.maxMs) return ms;
  throw invalidParameter("heartbeat", "heartbeat must be a duration from 100ms to 60m, as in 15s");
}
