/** A parameter of a query, with its value as bytes: keys of etcd are bytes, and need not be text. */
export interface QueryPair {
  readonly name: string;
  readonly value: Buffer;
}

/**
 * Takes a query apart. Not URLSearchParams, which replaces bytes that are no UTF-8. A parameter without `=` has an empty value.
 * @param search from the question mark on, or nothing
 */
export function splitQuery(search: string): QueryPair[] {
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
