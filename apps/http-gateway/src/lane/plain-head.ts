/** The head of a request that leaves nothing to interpretation. */
export interface PlainHead {
  /** All of it, the empty line included. A copy: it outlives the buffer it was read from. */
  readonly bytes: Buffer;
  readonly path: string;
  /** Length of the body, in bytes. */
  readonly contentLength: number;
  /** Values by name in lower case, as Node has them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name, value, name, value, as Node has them. */
  readonly rawHeaders: readonly string[];
  /** The client wants no more than this of the connection. */
  readonly isLast: boolean;
}

/** A head that is longer is somebody else's. */
const maxHeadBytes = 8 * 1024;
const emptyLine = Buffer.from("\r\n\r\n");
const requestLine = /^POST (\/[A-Za-z0-9/_-]{1,128}) HTTP\/1\.1$/;
/** One space behind the colon, and a value of visible ASCII that neither begins nor ends with a space. */
const headerLine = /^([A-Za-z-]{1,32}): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;
const length = /^(?:0|[1-9][0-9]{0,8})$/;

/**
 * Headers that say nothing about where a message ends or what becomes of its connection, beside the three that are read
 * below. Every other name is a reason to leave the request to a complete reader of HTTP.
 */
const plainNames: ReadonlySet<string> = new Set([
  "host",
  "user-agent",
  "accept",
  "accept-encoding",
  "accept-language",
  "content-type",
  "content-length",
  "connection",
  "authorization",
  "grpc-metadata-token",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "x-request-id",
]);

/**
 * Reads the head at the beginning of the bytes, where it is whole and of a form that every reader of HTTP/1.1 takes for the
 * same message (RFC 9112): a POST to a plain path, one Host, one Content-Length of digits, each header once and of a known
 * name, lines that end in CR LF. Nothing for whatever else it may be, valid or not: the decision is made by who reads all of HTTP.
 */
export function readPlainHead(bytes: Buffer): PlainHead | undefined {
  const end = bytes.subarray(0, maxHeadBytes).indexOf(emptyLine);
  if (end < 0) return undefined;
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const path = requestLine.exec(first)?.[1];
  if (path === undefined) return undefined;
  const headers: Record<string, string> = {};
  const rawHeaders: string[] = [];
  for (const line of lines) {
    const [, raw = "", value = ""] = headerLine.exec(line) ?? [];
    const name = raw.toLowerCase();
    if (!plainNames.has(name) || name in headers) return undefined;
    headers[name] = value;
    rawHeaders.push(raw, value);
  }
  const { host, connection = "keep-alive", "content-length": contentLength = "" } = headers;
  if (host === undefined || !length.test(contentLength)) return undefined;
  if (connection !== "keep-alive" && connection !== "close") return undefined;
  return {
    bytes: Buffer.from(bytes.subarray(0, end + emptyLine.length)),
    path,
    contentLength: Number(contentLength),
    headers,
    rawHeaders,
    isLast: connection === "close",
  };
}

/** Whether the bytes begin with this very head, so that it need not be read again. */
export function beginsWith(bytes: Buffer, head: PlainHead): boolean {
  const { length: size } = head.bytes;
  return bytes.length >= size && bytes.compare(head.bytes, 0, size, 0, size) === 0;
}
