import { createHeaderField, type HeaderField } from "./header-field.ts";

/** RFC 7541, Appendix A: names and values of indices 1 to 61, in order. */
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Number of entries of the static table; dynamic indices start one above. */
export const STATIC_TABLE_LENGTH = 61;

/** The static table; position 0 is unused so that positions are HPACK indices. */
export const staticTable: readonly HeaderField[] = [
  createHeaderField("", ""),
  ...ENTRIES.map(([name, value]) => createHeaderField(name, value)),
];

/** Smallest static index of a name. */
export const staticNameIndex: ReadonlyMap<string, number> = new Map(
  ENTRIES.map(([name], i): [string, number] => [name, i + 1]).reverse(),
);

/** Static index of an exact pair, keyed `name\0value`. */
export const staticPairIndex: ReadonlyMap<string, number> = new Map(
  ENTRIES.map(([name, value], i): [string, number] => [`${name}\0${value}`, i + 1]),
);
