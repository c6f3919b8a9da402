/** A header block that breaks RFC 7541. The connection cannot go on: its tables no longer agree. */
export class HpackError extends Error {
  override readonly name = "HpackError";
}
