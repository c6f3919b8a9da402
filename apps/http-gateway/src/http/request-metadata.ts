import { GrpcStatus } from "@etcd-edge/proto";
import { decodeBase64 } from "../json/base64.ts";
import { type Metadata, UpstreamError } from "../upstream/upstream.ts";

/** What of a request's headers travels upstream. */
export interface CallHeaders {
  readonly metadata: Metadata;
  /** From `Grpc-Timeout`; nothing for no deadline, 0 or less for one that is over. */
  readonly timeoutMs: number | undefined;
}

export interface HeaderRules {
  /** Also send what etcd never looks at: `grpcgateway-*`, `x-forwarded-for`, `x-forwarded-host`. */
  readonly forwardAll: boolean;
  /** Address of the client's end of the connection, for `x-forwarded-for`. */
  readonly peerAddress: string | undefined;
}

/** Headers that etcd's JSON door hands on under `grpcgateway-`. */
const permanentHeaders: ReadonlySet<string> = new Set([
  "accept",
  "accept-charset",
  "accept-language",
  "accept-ranges",
  "cache-control",
  "content-type",
  "cookie",
  "date",
  "expect",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-schedule-tag-match",
  "if-unmodified-since",
  "max-forwards",
  "origin",
  "pragma",
  "referer",
  "user-agent",
  "via",
  "warning",
]);

/** Names that HTTP/2 or gRPC keep to themselves. */
const reserved =
  /^(?:grpc-.*|:.*|content-type|content-length|user-agent|te|connection|keep-alive|host|proxy-connection|transfer-encoding|upgrade)$/;
const metadataName = /^[0-9a-z_.-]+$/;
const prefix = "grpc-metadata-";

/**
 * Turns request headers into metadata: `Authorization` and every `Grpc-Metadata-X`. Of several credentials exactly
 * one goes on, chosen as etcd chooses: the first `token`, else the first `authorization`, with `Bearer ` cut off
 * because only the newest releases of etcd cut it themselves.
 *
 * @param rawHeaders name, value, name, value, as Node gives them
 * @throws UpstreamError INVALID_ARGUMENT for a `-Bin` value that is no base64 and a `Grpc-Timeout` that is none
 */
export function toCallHeaders(rawHeaders: readonly string[], rules: HeaderRules): CallHeaders {
  const metadata: string[] = [];
  let token: string | undefined;
  let authorization: string | undefined;
  let timeoutMs: number | undefined;
  const forwarded: Forwarded = { for: [], host: undefined };
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    const value = rawHeaders[i + 1] ?? "";
    if (name === "authorization") authorization ??= value;
    else if (name === "grpc-timeout") timeoutMs ??= parseGrpcTimeout(value);
    else if (name.startsWith(prefix)) {
      const key = name.slice(prefix.length);
      if (key === "token") token ??= value;
      else if (key === "authorization") authorization ??= value;
      else pushMetadata(metadata, name, key, value);
    } else if (rules.forwardAll) pushForwarded(metadata, forwarded, name, value);
  }
  if (rules.forwardAll) {
    if (rules.peerAddress !== undefined) forwarded.for.push(rules.peerAddress);
    if (forwarded.for.length > 0) metadata.push("x-forwarded-for", forwarded.for.join(", "));
    if (forwarded.host !== undefined) metadata.push("x-forwarded-host", forwarded.host);
  }
  if (token !== undefined) pushValue(metadata, "token", token);
  else if (authorization !== undefined)
    pushValue(metadata, "authorization", authorization.replace(/^bearer +/i, ""));
  return { metadata, timeoutMs: timeoutMs === 0 ? undefined : timeoutMs };
}

interface Forwarded {
  readonly for: string[];
  host: string | undefined;
}

function pushMetadata(metadata: string[], header: string, key: string, value: string): void {
  if (!metadataName.test(key) || reserved.test(key)) return;
  if (key.endsWith("-bin")) pushValue(metadata, key, toWireBase64(header, value));
  else pushValue(metadata, key, value);
}

function pushForwarded(metadata: string[], forwarded: Forwarded, name: string, value: string): void {
  if (name === "x-forwarded-for") forwarded.for.push(value);
  else if (name === "x-forwarded-host") forwarded.host = value;
  else if (permanentHeaders.has(name)) {
    pushValue(metadata, `grpcgateway-${name}`, value);
    if (name === "host") forwarded.host ??= value;
  }
}

/** Values that are not printable ASCII cannot travel; etcd leaves them out, too. */
function pushValue(metadata: string[], name: string, value: string): void {
  if (/^[\x20-\x7e]*$/.test(value)) metadata.push(name, value);
}

function toWireBase64(header: string, value: string): string {
  const result = decodeBase64(value, { alphabet: "standard", padded: value.length % 4 === 0 });
  if (result.t === "bytes") return Buffer.from(result.bytes).toString("base64").replace(/=+$/, "");
  throw invalid(
    `invalid binary header ${toCanonicalHeader(header)}: illegal base64 data at input byte ${result.at}`,
  );
}

/** `grpc-metadata-foo-bin` as Go's `textproto` writes it: `Grpc-Metadata-Foo-Bin`. */
function toCanonicalHeader(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

const msPerUnit: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

function parseGrpcTimeout(text: string): number {
  const match = /^([+-]?\d{1,18})([HMSmun])$/.exec(text);
  const unit = msPerUnit[match?.[2] ?? ""];
  if (match === null || unit === undefined) throw invalid(`invalid grpc-timeout: ${text}`);
  return Number(match[1]) * unit;
}

function invalid(message: string): UpstreamError {
  return new UpstreamError({ status: GrpcStatus.INVALID_ARGUMENT, message, origin: "local" });
}
