/** Writes a JSON string with its quotes. */
type QuoteString = (text: string) => string;

/**
 * What becomes of the schema's `bytes`.
 * - `base64`: as etcd has it.
 * - `utf8`: strings are text; bytes that are none are written as `{"base64":"…"}`, which is read as well.
 */
export type BytesStyle = "base64" | "utf8";

/** How a message is written. */
export interface JsonStyle {
  readonly quote: QuoteString;
  readonly bytes: BytesStyle;
}

/** The member that holds bytes which are no text. */
export const base64Member = "base64";
