/**
 * A peer broke the protocol so that the connection cannot go on, or has used up our patience.
 * `code` is what GOAWAY carries (RFC 9113, section 7).
 */
export class Http2Error extends Error {
  override readonly name = "Http2Error";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
